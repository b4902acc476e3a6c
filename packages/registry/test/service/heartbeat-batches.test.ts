import { heartbeatBatchSchema, isMembraneError, type Heartbeat } from '@membrane/protocol';
import fc from 'fast-check';
import { registration, RegistryCore } from '../support/registry-core.js';

/**
 * Most of a batch is not validated, since what is found is valid. It must come to what the schema, and a heartbeat for
 * each entry, come to.
 */

const TOKENS = ['token-of-this-process', 'token-of-another-one'] as const;

async function makeCore(): Promise<RegistryCore> {
  const core = await new RegistryCore().load();
  await core.service.register(registration('open'));
  await core.service.register(registration('open', { namespace: 'shop' }));
  await core.service.register(registration('fenced', { lease_token: TOKENS[0] }));
  await core.service.register(registration('taken', { lease_token: TOKENS[0] }));
  await core.service.register(registration('taken', { lease_token: TOKENS[1] }));
  await core.service.register(registration('many', { instance_id: 'r1' }));
  await core.service.register(registration('many', { instance_id: 'r2', lease_token: TOKENS[1] }));
  core.clock.advance(900);
  return core;
}

/** What a single heartbeat is told. */
function codeOf(core: RegistryCore, heartbeat: Heartbeat): string | undefined {
  try {
    core.service.heartbeat(heartbeat);
    return undefined;
  } catch (error) {
    return isMembraneError(error) ? error.code : String(error);
  }
}

/** When each lease was renewed. */
const renewals = ({ state }: RegistryCore): unknown =>
  (
    [
      ['default', 'open', 'default'],
      ['shop', 'open', 'default'],
      ['default', 'fenced', 'default'],
      ['default', 'taken', 'default'],
      ['default', 'many', 'r1'],
      ['default', 'many', 'r2'],
    ] as const
  ).map(([namespace, id, instanceId]) => state.leases.get(namespace, id, instanceId)?.renewedAtMs);

const orNothing = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | null> =>
  fc.option(value, { freq: 1, nil: null });
const entry = fc.record(
  {
    id: fc.constantFrom('open', 'fenced', 'taken', 'many', 'absent'),
    namespace: orNothing(fc.constantFrom('default', 'shop')),
    instance_id: orNothing(fc.constantFrom('default', 'r1', 'r2')),
    incarnation: orNothing(fc.integer({ min: 0, max: 8 })),
    lease_token: orNothing(fc.constantFrom(...TOKENS)),
    unknown: fc.constant({ deep: [1] }),
  },
  { requiredKeys: ['id'] },
);
const badEntry = fc.constantFrom<unknown>(
  null,
  7,
  [],
  {},
  { id: '' },
  { id: 'o pen' },
  { id: 'open', namespace: 3 },
  { id: 'open', instance_id: {} },
  { id: 'open', incarnation: -1 },
  { id: 'open', incarnation: '1' },
  { id: 'open', lease_token: 'short' },
);
const batch = fc.record(
  {
    heartbeats: fc.array(fc.oneof({ weight: 20, arbitrary: entry }, { weight: 1, arbitrary: badEntry }), {
      maxLength: 8,
    }),
    lease_token: orNothing(fc.constantFrom(...TOKENS, 'short')),
  },
  { requiredKeys: ['heartbeats'] },
);

describe('a batch of heartbeats', () => {
  it('does what its entries do one by one, and nothing where one is not valid', async () => {
    await fc.assert(
      fc.asyncProperty(batch, async (body) => {
        const core = await makeCore();
        const reference = await makeCore();
        const parsed = heartbeatBatchSchema.safeParse(body);
        if (!parsed.success) {
          const before = renewals(core);
          expect(() => core.service.heartbeatBatch(body)).toThrow(/heartbeats|lease_token/);
          expect(renewals(core)).toEqual(before);
          return;
        }
        const { heartbeats, lease_token } = parsed.data;
        const failed = heartbeats.flatMap((heartbeat, index) => {
          const code = codeOf(reference, {
            ...heartbeat,
            lease_token: heartbeat.lease_token ?? lease_token,
          });
          return code === undefined ? [] : [{ index, id: heartbeat.id, code }];
        });
        expect(core.service.heartbeatBatch(body)).toEqual({
          success: failed.length === 0,
          renewed: heartbeats.length - failed.length,
          failed,
        });
        expect(renewals(core)).toEqual(renewals(reference));
      }),
      { numRuns: 300 },
    );
  });
});
