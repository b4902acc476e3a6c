import { MembraneError, type ErrorCode } from '@membrane/protocol';
import { AttemptLog } from '../../src/messaging/attempt-log.js';
import { Conversation } from '../../src/messaging/conversation.js';
import { Courier, type Consignment } from '../../src/messaging/courier.js';
import { RouteFinder } from '../../src/messaging/route-finder.js';
import type { FoundMembrane } from '../../src/resolver.js';
import { systemClock, type Clock } from '../../src/clock.js';
import type {
  OutgoingMessage,
  RouteAddress,
  SendHooks,
  Transport,
  TransportResult,
} from '../../src/transports/transport.js';
import { FakeClock } from '../support/fake-clock.js';

type Script = TransportResult | ErrorCode;

/** Answers by what is written for an address, one after the other; the last of them again and again. */
class ScriptedTransport implements Transport {
  readonly sent: {
    address: string;
    attempt: number;
    floor: number | undefined;
    instanceId: string | undefined;
  }[] = [];

  /** Before each answer, with the hooks of the send. */
  onSend: ((hooks: SendHooks | undefined) => void) | undefined;

  readonly #scripts: Record<string, Script[]>;

  constructor(scripts: Record<string, Script[]>) {
    this.#scripts = scripts;
  }

  async send(
    { envelope }: OutgoingMessage,
    { address }: RouteAddress,
    hooks?: SendHooks,
  ): Promise<TransportResult> {
    this.onSend?.(hooks);
    this.sent.push({
      address,
      attempt: envelope.attempt ?? 0,
      floor: envelope.floor ?? undefined,
      instanceId: envelope.instance_id ?? undefined,
    });
    const script = this.#scripts[address] ?? ['not_delivered'];
    const next = script.length > 1 ? script.shift() : script[0];
    if (typeof next === 'string') throw new MembraneError(next, `${address} says ${next}`);
    return Promise.resolve(next as TransportResult);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const PROCESSED: TransportResult = { outcome: 'processed' };
const QUEUED: TransportResult = { outcome: 'queued' };

function membrane(id: string, given: Partial<FoundMembrane> = {}): FoundMembrane {
  const record = {
    id,
    namespace: 'default',
    instanceId: 'default',
    parent: null,
    endpoint: `${id}-volume`,
    communicationMode: 'shared-volume' as const,
    endpoints: [
      { mode: 'shared-volume' as const, address: `${id}-volume`, realm: 'v' },
      { mode: 'ipc' as const, address: `${id}-socket`, realm: 's' },
    ],
    healthCheckUrl: null,
    metadata: {},
    registeredAt: 0,
    lastHeartbeat: 0,
    status: 'active' as const,
    detached: false,
    incarnation: 1,
    revision: 1,
    weight: 1,
    relay: false,
    heartbeatIntervalMs: 5_000,
    ...given,
  };
  return { ...record, instances: given.instances ?? [record], isStale: false };
}

function begin(
  scripts: Record<string, Script[]>,
  membranes: FoundMembrane[] = [membrane('oven')],
  clock: Clock = systemClock,
) {
  const transport = new ScriptedTransport(scripts);
  const byId = new Map(membranes.map((one) => [one.id, one]));
  const forgotten: string[] = [];
  /** Ids that the registry does not answer for. */
  const silentFor = new Set<string>();
  const routes = new RouteFinder({
    id: 'cook',
    discover: (id) => (silentFor.has(id) ? new Promise(() => undefined) : Promise.resolve(byId.get(id))),
    forget: (id) => forgotten.push(id),
    isKnown: () => Promise.resolve(true),
    realms: { ipc: 's', 'shared-volume': 'v' },
    transports: { ipc: transport, 'shared-volume': transport, mailbox: transport },
    clock,
  });
  const courier = new Courier({ routes, clock, random: () => 0 });
  const consign = (given: Partial<Consignment> = {}): Consignment => ({
    envelope: { id: 'm', sender: 'cook', target: 'oven', payload: 1, attempt: 1 },
    request: { target: 'oven', instanceId: undefined, answer: 'unneeded' },
    conversation: undefined,
    deadlineAtMs: clock.monotonicMs() + 10_000,
    handlerTries: 3,
    signal: new AbortController().signal,
    trySignal: undefined,
    onAccepted: undefined,
    attempts: new AttemptLog(),
    ...given,
  });
  return { transport, courier, consign, forgotten, byId, silentFor };
}

const addressesOf = ({ sent }: ScriptedTransport): string[] => sent.map(({ address }) => address);

describe('a message', () => {
  it('goes by the best route alone where that works', async () => {
    const { transport, courier, consign } = begin({ 'oven-socket': [PROCESSED] });
    const { outcome, route } = await courier.deliver(consign());
    expect([outcome, route.kind, route.address]).toEqual(['processed', 'ipc', 'oven-socket']);
    expect(addressesOf(transport)).toEqual(['oven-socket']);
  });

  it('goes by the next one where a route fails, then into the mailbox, and the attempts tell', async () => {
    const { transport, courier, consign } = begin({ oven: [QUEUED] });
    const { outcome, route } = await courier.deliver(consign());
    expect([outcome, route.kind]).toEqual(['queued', 'mailbox']);
    expect(addressesOf(transport)).toEqual(['oven-socket', 'oven-volume', 'oven']);
  });

  it('spares a route that failed a moment ago', async () => {
    const { transport, courier, consign } = begin({ 'oven-volume': [QUEUED] });
    await courier.deliver(consign());
    await courier.deliver(consign());
    expect(addressesOf(transport)).toEqual(['oven-socket', 'oven-volume', 'oven-volume']);
  });

  it.each([
    ['spares a route it had no time for', 10, false, 'oven-socket'],
    ['counts against a route that was silent for long', 5_000, false, 'oven-volume'],
    ['spares a route that leads to a slow handler', 5_000, true, 'oven-socket'],
  ])('whose own deadline passes %s', async (_, timeMs, isAccepted, next) => {
    const clock = new FakeClock();
    const scripts: Record<string, Script[]> = { 'oven-socket': ['not_delivered', PROCESSED] };
    const { transport, courier, consign } = begin({ ...scripts, 'oven-volume': [QUEUED] }, undefined, clock);
    transport.onSend = (hooks) => {
      if (isAccepted) hooks?.onAccepted?.();
      clock.advance(timeMs);
    };
    const deadlineAtMs = clock.monotonicMs() + timeMs;
    await expect(courier.deliver(consign({ deadlineAtMs }))).rejects.toMatchObject({ code: 'not_delivered' });
    transport.onSend = undefined;
    await courier.deliver(consign());
    expect(addressesOf(transport)).toEqual(['oven-socket', next]);
  });

  it('waits for room in a full inbox, in place of going another way', async () => {
    const { transport, courier, consign } = begin({ 'oven-socket': ['inbox_full', 'inbox_full', PROCESSED] });
    await courier.deliver(consign());
    expect(addressesOf(transport)).toEqual(['oven-socket', 'oven-socket', 'oven-socket']);
    // It was refused: it has certainly not arrived before.
    expect(transport.sent.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
  });

  it('counts as accepted where its receiver has it, and not where a relay does', async () => {
    const relay = membrane('kitchen', { relay: true });
    const { transport, courier, consign } = begin({ 'kitchen-socket': [PROCESSED] }, [
      membrane('oven', { endpoints: [], endpoint: '', communicationMode: 'network', parent: 'kitchen' }),
      relay,
    ]);
    transport.onSend = (hooks) => hooks?.onAccepted?.();
    const accepted: string[] = [];
    const onAccepted = ({ kind }: { kind: string }): void => void accepted.push(kind);
    const { route } = await courier.deliver(consign({ onAccepted }));
    expect([route.kind, accepted]).toEqual(['relay', []]);
    await courier.deliver(
      consign({
        onAccepted,
        request: { target: 'kitchen', instanceId: undefined, answer: 'unneeded' },
      }),
    );
    expect(accepted).toEqual(['ipc']);
  });

  it('is tried again where its handler fails, as often as the options say', async () => {
    const { transport, courier, consign } = begin({ 'oven-socket': ['handler_failed'] });
    const conversation = new Conversation('s');
    const error = await courier.deliver(consign({ conversation })).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'handler_failed' });
    expect(transport.sent.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
    expect((error as MembraneError).details.attempts).toHaveLength(3);
  });

  it.each(['payload_too_large', 'out_of_order', 'expired', 'invalid_request'] as const)(
    'ends where it is refused by %s',
    async (code) => {
      const { transport, courier, consign } = begin({ 'oven-socket': [code] });
      await expect(courier.deliver(consign())).rejects.toMatchObject({ code });
      expect(transport.sent).toHaveLength(1);
    },
  );

  it.each(['not_found', 'method_not_allowed', 'unsupported_media_type'] as const)(
    'goes on where %s is said by somebody who is no receiver, and ends where the mailbox says it',
    async (code) => {
      const { transport, courier, consign, forgotten } = begin({
        'oven-socket': [code],
        'oven-volume': [code],
        oven: [QUEUED, code],
      });
      expect((await courier.deliver(consign())).route.kind).toBe('mailbox');
      expect(addressesOf(transport)).toEqual(['oven-socket', 'oven-volume', 'oven']);
      // The address is an old one.
      expect(forgotten).toEqual(['oven']);
      await expect(courier.deliver(consign())).rejects.toMatchObject({ code });
    },
  );

  it('is given up at its deadline, with what was tried', async () => {
    const { courier, consign } = begin({ 'oven-socket': ['inbox_full'] });
    const deadlineAtMs = systemClock.monotonicMs() + 100;
    const error = await courier.deliver(consign({ deadlineAtMs })).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: 'not_delivered' });
    expect((error as MembraneError).message).toContain('"oven" was not reached in time');
    expect((error as MembraneError).details.attempts?.[0]).toMatchObject({
      route: 'ipc',
      address: 'oven-socket',
      result: 'inbox_full',
    });
  });

  it.each(['oven', 'cook'])('waits for a registry that is silent of %s until its deadline', async (id) => {
    const { courier, consign, silentFor } = begin({});
    silentFor.add(id);
    const deadlineAtMs = systemClock.monotonicMs() + 50;
    await expect(courier.deliver(consign({ deadlineAtMs }))).rejects.toMatchObject({
      code: 'not_delivered',
      message: '"oven" was not reached in time: the registry did not answer',
      cause: expect.objectContaining({ code: 'registry_unreachable' }) as unknown,
    });
  });

  it.each(['oven', 'cook'])('waits for a registry that is silent of %s while it is wanted', async (id) => {
    const { courier, consign, silentFor } = begin({});
    silentFor.add(id);
    const abort = new AbortController();
    const delivering = courier.deliver(consign({ signal: abort.signal }));
    abort.abort(new Error('enough'));
    await expect(delivering).rejects.toThrow('enough');
  });

  it('has its receiver looked for again where the address is somebody else’s', async () => {
    const { courier, consign, forgotten, byId } = begin({
      'oven-socket': ['wrong_receiver'],
      'oven-volume': ['not_delivered'],
      oven: ['mailbox_full'],
      'new-socket': [PROCESSED],
    });
    const delivering = courier.deliver(consign());
    byId.set('oven', membrane('oven', { endpoints: [{ mode: 'ipc', address: 'new-socket', realm: 's' }] }));
    expect((await delivering).route.address).toBe('new-socket');
    expect(forgotten).toContain('oven');
  });

  it('for whose answer somebody waits tries routes that rest, and goes nowhere without one where it is needed', async () => {
    const { transport, courier, consign } = begin({
      'oven-socket': ['not_delivered', PROCESSED],
      'oven-volume': [QUEUED],
    });
    await courier.deliver(consign());
    const request = { target: 'oven', instanceId: undefined } as const;
    await courier.deliver(consign({ request: { ...request, answer: 'wanted' } }));
    expect(addressesOf(transport)).toEqual(['oven-socket', 'oven-volume', 'oven-socket']);
    const cut = begin({ 'oven-volume': [QUEUED], oven: [QUEUED] });
    const deadlineAtMs = systemClock.monotonicMs() + 50;
    const needed = cut.consign({ request: { ...request, answer: 'needed' }, deadlineAtMs });
    await expect(cut.courier.deliver(needed)).rejects.toMatchObject({ code: 'not_delivered' });
    expect(new Set(addressesOf(cut.transport))).toEqual(new Set(['oven-socket']));
  });

  it('goes through a relay above the receiver that both can reach', async () => {
    const oven = membrane('oven', {
      parent: 'kitchen',
      endpoints: [],
      endpoint: 'x',
      communicationMode: 'network',
    });
    const kitchen = membrane('kitchen', { relay: true });
    const { courier, consign } = begin({ 'kitchen-socket': [PROCESSED] }, [oven, kitchen]);
    const { route, outcome } = await courier.deliver(consign());
    expect([route.kind, route.address, outcome]).toEqual(['relay', 'kitchen', 'processed']);
  });

  it('is never relayed by one who passed it on already', async () => {
    const oven = membrane('oven', {
      parent: 'kitchen',
      endpoints: [],
      endpoint: 'x',
      communicationMode: 'network',
    });
    const kitchen = membrane('kitchen', { relay: true });
    const { courier, consign, transport } = begin({ 'kitchen-socket': [PROCESSED], oven: [QUEUED] }, [
      oven,
      kitchen,
    ]);
    const envelope = { id: 'm', sender: 'x', target: 'oven', payload: 1, path: ['kitchen'] };
    await courier.tryRoutes(consign({ envelope }));
    expect(addressesOf(transport)).toEqual(['oven']);
  });

  it('of a stream says which others may still come', async () => {
    const { courier, consign, transport } = begin({ 'oven-socket': [PROCESSED] });
    const conversation = new Conversation('s');
    conversation.begin('dough');
    const sequence = conversation.begin('dough');
    const envelope = { id: 'm', sender: 'cook', target: 'oven', payload: 1, stream: 'dough', sequence };
    await courier.deliver(consign({ conversation, envelope }));
    expect(transport.sent[0]).toMatchObject({ floor: 1, instanceId: 'default' });
  });
});
