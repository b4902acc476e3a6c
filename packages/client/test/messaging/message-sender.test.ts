import { MembraneError, type JsonValue } from '@membrane/protocol';
import { systemClock, type Clock } from '../../src/clock.js';
import type { Answer, SendOptions } from '../../src/messaging/delivery.js';
import { MessageSender } from '../../src/messaging/message-sender.js';
import type { Dispatch, Messenger } from '../../src/messaging/messenger.js';
import type { KnownEnvelope } from '../../src/messaging/message.js';
import { REPLY_TYPE, ReplyBook } from '../../src/messaging/reply-book.js';
import { TargetFinder } from '../../src/messaging/target-finder.js';
import type { FoundMembrane } from '../../src/resolver.js';
import { eventually } from '../support/eventually.js';
import { FakeClock } from '../support/fake-clock.js';

const OVEN = { id: 'oven', parent: null, instances: [{ instanceId: 'default' }] } as unknown as FoundMembrane;

function toAnswer({ messageId, target }: Dispatch): Answer {
  const route = { kind: 'ipc', address: 's' } as const;
  return { messageId, target, outcome: 'processed', route, attempts: [] };
}

/** A sender whose messenger does what the test says. */
function begin(
  send: (dispatch: Dispatch) => Promise<Answer> = (dispatch) => Promise.resolve(toAnswer(dispatch)),
  clock: Clock = systemClock,
) {
  const asked: string[] = [];
  const sent: Dispatch[] = [];
  const replies = new ReplyBook();
  const closing = new AbortController();
  const messenger = {
    closed: closing.signal,
    send: (dispatch: Dispatch): Promise<Answer> => {
      sent.push(dispatch);
      return send(dispatch);
    },
  } as unknown as Messenger;
  const discover = (id: string): Promise<FoundMembrane | undefined> => {
    asked.push(id);
    if (id === 'silent') return new Promise(() => undefined);
    return Promise.resolve(id === 'oven' ? OVEN : undefined);
  };
  const targets = new TargetFinder({
    id: 'cook',
    ownParent: () => null,
    discover,
    list: async function* () {
      // Nobody is there.
    },
  });
  const sender = new MessageSender({
    id: 'cook',
    messenger,
    targets,
    replies,
    clock,
    defaultTimeoutMs: 10_000,
    canBeReached: () => true,
  });
  return { sender, asked, sent, replies, closing };
}

describe('a broadcast', () => {
  it.each<[string, JsonValue | undefined, SendOptions]>([
    ['an empty type', 1, { type: '' }],
    ['a time below 0', 1, { timeoutMs: -1 }],
    ['no payload', undefined, {}],
  ])('with %s is refused before anybody is looked for', async (_, payload, options) => {
    const { sender, asked, sent } = begin();
    const broadcast = sender.broadcast('@all:oven', payload as JsonValue, options);
    await expect(broadcast).rejects.toMatchObject({ code: 'invalid_request' });
    expect([asked, sent]).toEqual([[], []]);
  });

  it('tells in a report what befell a member', async () => {
    const { sender } = begin(() => Promise.reject(new MembraneError('not_delivered', 'no way')));
    const { members } = await sender.broadcast('@all:oven', 1, {});
    expect(members).toMatchObject([{ id: 'oven', result: 'unreachable', error: { message: 'no way' } }]);
  });
});

describe('a message whose reply is here before the word of its route', () => {
  const handled = ({ messageId }: Dispatch): KnownEnvelope => ({
    id: 'r',
    sender: 'oven',
    payload: 'done',
    type: REPLY_TYPE,
    correlation_id: messageId,
  });

  it('has that route where the word comes soon', async () => {
    const { sender, replies } = begin(async (dispatch) => {
      replies.take(handled(dispatch));
      await new Promise((resolve) => setImmediate(resolve));
      return toAnswer(dispatch);
    });
    const delivery = await sender.send('oven', 1, { waitFor: 'processed' });
    expect(delivery).toMatchObject({ outcome: 'processed', route: { kind: 'ipc', address: 's' } });
  });

  it('says that the route is unknown where it fails, and what was tried', async () => {
    const attempts = [{ route: 'ipc', address: 's', target: 'oven', result: 'not_delivered' }] as const;
    const { sender, replies } = begin((dispatch) => {
      replies.take(handled(dispatch));
      return new Promise((_, reject) => {
        setImmediate(() => reject(new MembraneError('not_delivered', 'no word', { details: { attempts } })));
      });
    });
    const delivery = await sender.send('oven', 1, { waitFor: 'processed' });
    expect(delivery).toMatchObject({
      outcome: 'processed',
      route: { kind: 'unknown', address: '' },
      attempts,
    });
  });

  it('does not wait for the word for long', async () => {
    const clock = new FakeClock();
    const { sender, replies } = begin((dispatch) => {
      replies.take(handled(dispatch));
      return new Promise(() => undefined);
    }, clock);
    const sent = sender.send('oven', 1, { waitFor: 'processed' });
    await eventually('it waits for the word', () => clock.pending === 1);
    clock.advance(1_000);
    expect(await sent).toMatchObject({ outcome: 'processed', route: { kind: 'unknown' } });
    // Who makes a request asks for no route.
    expect(await sender.request('oven', 1, {})).toBe('done');
  });
});

describe('the look-up of a receiver', () => {
  const lookUps: [string, (sender: MessageSender, options: SendOptions) => Promise<unknown>][] = [
    ['send', (sender, options) => sender.send('@in:silent', 1, options)],
    ['request', (sender, options) => sender.request('@in:silent', 1, options)],
    ['broadcast', (sender, options) => sender.broadcast('@all:silent', 1, options)],
  ];

  it.each(lookUps)('of %s ends at the deadline of the message', async (_, call) => {
    const { sender } = begin();
    await expect(call(sender, { timeoutMs: 20 })).rejects.toMatchObject({
      code: 'not_delivered',
      message: 'its receiver was not looked up in time: the registry did not answer',
    });
  });

  it.each(lookUps)('of %s ends with its signal, and with the client', async (_, call) => {
    const { sender, closing } = begin();
    const abort = new AbortController();
    const aborted = expect(call(sender, { signal: abort.signal })).rejects.toThrow('enough');
    const closed = expect(call(sender, {})).rejects.toThrow('closed');
    abort.abort(new Error('enough'));
    await aborted;
    closing.abort(new Error('closed'));
    await closed;
  });
});
