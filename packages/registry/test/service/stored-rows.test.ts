import type { JsonValue } from '@membrane/protocol';
import fc from 'fast-check';
import { StateDecoder } from '../../src/service/state-decoder.js';
import type { ChangeSet } from '../../src/store/membrane-store.js';
import { FakeClock } from '../support/fake-clock.js';
import { FlakyStore, registration, RegistryCore } from '../support/registry-core.js';

const NODE = 'node/default/oven';
const INSTANCE = 'instance/default/oven/default';

/** Rows as the first version wrote them: an instance had one of its own, and every field was there. */
const formatOne: ChangeSet = {
  puts: [
    {
      key: NODE,
      value: { parent: 'kitchen', requestedParent: 'kitchen', createdRevision: null, vacantSinceMs: null },
    },
    {
      key: INSTANCE,
      value: {
        endpoint: 'http://127.0.0.1:1',
        communicationMode: 'network',
        endpoints: null,
        healthCheckUrl: null,
        metadata: { shelf: 3 },
        weight: 1,
        relay: false,
        heartbeatIntervalMs: 1_000,
        status: 'active',
        registeredAtMs: 5,
        incarnation: null,
        tokenHash: null,
        attempt: 0,
        replacedTokenHashes: [],
      },
    },
  ],
  deletes: [],
};

async function openFormatOne(): Promise<RegistryCore> {
  const store = new FlakyStore();
  await store.load();
  await store.commit([formatOne]);
  return new RegistryCore(new FakeClock(), store).load();
}

async function storedKeys({ store }: RegistryCore): Promise<string[]> {
  const keys: string[] = [];
  for await (const page of (await store.load()).entries) keys.push(...page.map(({ key }) => key));
  return keys.filter((key) => !key.startsWith('journal/')).sort();
}

describe('rows of the first format', () => {
  it('are read, and what is written from then on counts after a restart', async () => {
    let core = await openFormatOne();
    expect(core.service.discover('oven', {})).toMatchObject([
      { parent: 'kitchen', metadata: { shelf: 3 }, incarnation: 1, revision: 1, weight: 1 },
    ]);
    await core.service.register(registration('oven', { parent: 'kitchen', endpoint: 'http://127.0.0.1:2' }));
    core = await core.restart();
    // The row of its own is still there, and says nothing any more.
    expect(await storedKeys(core)).toEqual([INSTANCE, NODE]);
    expect(core.service.discover('oven', {})).toMatchObject([
      { endpoint: 'http://127.0.0.1:2', metadata: {} },
    ]);
    await core.service.deregister({ id: 'oven' });
    core = await core.restart();
    expect(() => core.service.discover('oven', {})).toThrow(/oven/);
  });

  it('go with their node', async () => {
    const core = await openFormatOne();
    await core.service.deregister({ id: 'oven' });
    core.clock.advance(25 * 60 * 60 * 1_000);
    await core.ticker.tick();
    await core.queue.idle();
    expect(await storedKeys(core)).toEqual([]);
  });
});

describe('a row that is read by hand', () => {
  /** Most rows are plain, else chance would hardly find one. */
  const mostly = <Usual, Other>(usual: fc.Arbitrary<Usual>, other: fc.Arbitrary<Other>) =>
    fc.oneof({ weight: 12, arbitrary: usual }, { weight: 1, arbitrary: other });
  const text = fc.string({ maxLength: 140 });
  const revision = mostly(fc.integer({ min: 1, max: 2 ** 31 }), fc.constantFrom(0, 1.5, '1', Infinity));
  const live = fc.record(
    {
      endpoint: mostly(text, fc.constant(7)),
      communicationMode: mostly(fc.constantFrom('network', 'ipc', 'shared-volume'), fc.constant('radio')),
      heartbeatIntervalMs: mostly(fc.constant(1_000), fc.constantFrom(0, 1.5, '1000', Infinity)),
      status: mostly(fc.constant('active'), fc.constantFrom('unhealthy', 'asleep')),
      registeredAtMs: mostly(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(Infinity)),
      metadata: mostly(
        fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null))),
        fc.constantFrom({ nested: { deep: [1] } }, JSON.parse('{"__proto__":1}') as object, []),
      ),
      incarnation: revision,
      tokenHash: mostly(fc.oneof(text, fc.constant(null)), fc.constant(7)),
      attempt: mostly(fc.integer({ min: 0, max: 5 }), fc.constantFrom(-1, Infinity)),
      revision,
      weight: fc.constant(2),
      drain: fc.constant({ reason: null, sinceMs: 1 }),
    },
    { requiredKeys: ['endpoint', 'communicationMode', 'heartbeatIntervalMs', 'status', 'registeredAtMs'] },
  );
  const plainLive = live.map(({ weight, drain, ...plain }) => plain);
  const row = fc.record(
    {
      parent: mostly(fc.constant('kitchen'), fc.constantFrom('kit/chen', '', 7)),
      createdRevision: revision,
      revision,
      live: mostly(plainLive, fc.oneof(live, fc.constant(null))),
    },
    { requiredKeys: ['live'] },
  );
  const key = mostly(
    fc.constantFrom(NODE, 'node/default/worker-1.of:many'),
    fc.constantFrom('node/über/oven', 'node/default/中', 'node//oven', 'node/a'),
  );

  function decode(entry: { key: string; value: JsonValue; revision: number }): unknown {
    const decoder = new StateDecoder('the store');
    try {
      decoder.add(entry);
      return decoder.nodes();
    } catch (error) {
      return (error as Error).message;
    }
  }

  it('comes to what the schema makes of it', () => {
    fc.assert(
      fc.property(key, row, fc.integer({ min: 1 }), (name, value, stamp) => {
        const entry = { key: name, value: value as JsonValue, revision: stamp };
        // With a field that nobody knows it is not read by hand.
        const bySchema = { ...entry, value: { ...value, unknown: 1 } as JsonValue };
        expect(decode(entry)).toEqual(decode(bySchema));
      }),
      { numRuns: 1_000 },
    );
  });
});
