import { systemClock } from '../../src/clock.js';
import { Courier } from '../../src/messaging/courier.js';
import { MAX_LEAD } from '../../src/messaging/conversation.js';
import type { Message } from '../../src/messaging/message.js';
import { Messenger, type Dispatch } from '../../src/messaging/messenger.js';
import { RouteFinder } from '../../src/messaging/route-finder.js';
import { SequenceWindow } from '../../src/messaging/sequence-window.js';
import type { FoundMembrane } from '../../src/resolver.js';
import type { OutgoingMessage, Transport, TransportResult } from '../../src/transports/transport.js';

const INSTANCE = {
  id: 'oven',
  instanceId: 'default',
  status: 'active',
  endpoint: 'socket',
  communicationMode: 'ipc',
  endpoints: [{ mode: 'ipc', address: 'socket', realm: 's' }],
};
const OVEN = { ...INSTANCE, parent: null, relay: false, instances: [INSTANCE], isStale: false };

/** A receiver whose handler of `slow` returns when the test says so, and that remembers as receivers do. */
class SlowReceiver implements Transport {
  readonly refused: unknown[] = [];
  readonly #windows = new Map<string, SequenceWindow>();
  finish: () => void = () => undefined;

  async send({ envelope }: OutgoingMessage): Promise<TransportResult> {
    const { session = '', sequence = 0, payload, stream } = envelope;
    const window = this.#windows.get(session ?? '') ?? new SequenceWindow();
    this.#windows.set(session ?? '', window);
    if (payload === 'slow') await new Promise<void>((resolve) => (this.finish = resolve));
    if (stream == null) {
      if (window.stateOf(sequence ?? 0) !== 'new') this.refused.push(payload);
      window.markDone(sequence ?? 0);
    }
    return { outcome: 'processed' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function begin() {
  const receiver = new SlowReceiver();
  const routes = new RouteFinder({
    id: 'cook',
    discover: () => Promise.resolve(OVEN as unknown as FoundMembrane),
    forget: () => undefined,
    isKnown: () => Promise.resolve(true),
    realms: { ipc: 's', 'shared-volume': 'v' },
    transports: { ipc: receiver },
    clock: systemClock,
  });
  const messenger = new Messenger({
    id: 'cook',
    namespace: 'default',
    session: 's',
    courier: new Courier({ routes, clock: systemClock, random: () => 0 }),
    routes,
    clock: systemClock,
    tell: () => undefined,
    outbox: undefined,
    maxPendingMessages: 1_000,
    handlerTries: 1,
    ownInstanceId: () => undefined,
  });
  let count = 0;
  const send = (payload: Message['payload'], stream?: string) => {
    const dispatch: Dispatch = {
      messageId: `m${(count += 1)}`,
      target: 'oven',
      instanceId: undefined,
      answer: 'unneeded',
      payload,
      timeoutMs: 600_000,
      stream,
      type: undefined,
      replyTo: undefined,
      correlationId: undefined,
      traceparent: undefined,
      signal: undefined,
      onAccepted: undefined,
    };
    return messenger.send(dispatch);
  };
  return { receiver, messenger, send };
}

/** Sends as many as one slow message may be ahead of, and some. */
async function sendMany(send: (payload: number) => Promise<unknown>): Promise<void> {
  for (let number = 0; number < MAX_LEAD + 2_000; number += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, index) => send(number + index)));
  }
}

describe('one slow message', () => {
  it('does not stop others that have no stream', async () => {
    const { receiver, messenger, send } = begin();
    const slow = send('slow');
    await sendMany((number) => send(number));
    receiver.finish();
    await expect(slow).resolves.toMatchObject({ outcome: 'processed' });
    expect(receiver.refused).toEqual([]);
    messenger.close();
  });

  it('stops its stream when that is far ahead, and the error says so', async () => {
    const { receiver, messenger, send } = begin();
    const slow = send('slow', 'dough');
    const sent = sendMany((number) => send(number, 'dough'));
    await expect(sent).rejects.toMatchObject({
      code: 'not_delivered',
      message:
        `stream "dough" to "oven" is ${MAX_LEAD} messages ahead of its oldest one, which is not handled yet; ` +
        'wait for that one, or use another stream',
    });
    await send('of another stream', 'bread');
    receiver.finish();
    await slow;
    await send('the next one', 'dough');
    messenger.close();
  });
});
