import { MembraneError } from '@membrane/protocol';
import { giveBack } from '../../src/messaging/give-back.js';
import { Handlers } from '../../src/messaging/handlers.js';
import { Inbox } from '../../src/messaging/inbox.js';
import type { HandlingResult } from '../../src/messaging/message-taker.js';
import type { KnownEnvelope, Message } from '../../src/messaging/message.js';
import { FakeClock } from '../support/fake-clock.js';

const LIMITS = { maxInboxMessages: 10, maxInboxBytes: 1_000, handlerTries: 3 };

function begin(limits = LIMITS) {
  const clock = new FakeClock();
  const handlers = new Handlers({ concurrency: 4 });
  const inbox = new Inbox({ handlers, limits, clock, random: () => 1 });
  const results: [string, string][] = [];
  let count = 0;
  const offer = (
    given: Partial<KnownEnvelope>,
    { isKept = false, sizeBytes = 10 } = {},
  ): string | undefined => {
    const envelope = { id: `m${(count += 1)}`, sender: 'cook', payload: null, ...given };
    const note = (result: HandlingResult): void => {
      const what = result.outcome === 'failed' ? result.error.code : JSON.stringify(result);
      results.push([envelope.id, what.replace('{"outcome":"processed"}', 'processed')]);
    };
    return inbox.take(envelope, { sizeBytes, isKept }, note)?.code;
  };
  return { clock, handlers, inbox, results, offer };
}

/** A handler that returns when it is told to. */
function manual() {
  const running = new Map<string, { resolve: (value?: unknown) => void; reject: (error: Error) => void }>();
  const started: string[] = [];
  const handler = ({ id }: Message): Promise<unknown> =>
    new Promise((resolve, reject) => {
      started.push(id);
      running.set(id, { resolve, reject });
    });
  const settle = async (id: string, work: 'resolve' | 'reject', value?: unknown): Promise<void> => {
    running.get(id)?.[work](value as Error);
    await new Promise(setImmediate);
  };
  return { handler, started, settle };
}

const inStream = (sequence: number, floor?: number): Partial<KnownEnvelope> => ({
  id: `s${sequence}`,
  session: 'a',
  stream: 'dough',
  sequence,
  ...(floor === undefined ? {} : { floor }),
});

describe('a message', () => {
  it('is processed when its handler has returned, and what that returned is the reply', async () => {
    const { handlers, offer, results } = begin();
    handlers.onMessage(({ payload }) => ({ got: payload }));
    expect(offer({ payload: 7 })).toBeUndefined();
    expect(results).toEqual([['m1', '{"outcome":"processed","reply":{"got":7}}']]);
    handlers.onMessage(() => Promise.resolve(undefined), { type: 'quiet' });
    offer({ type: 'quiet' });
    await new Promise(setImmediate);
    expect(results[1]).toEqual(['m2', 'processed']);
  });

  it('fails by the words of what its handler threw, or where the reply is no JSON', () => {
    const { handlers, inbox } = begin();
    const messages: string[] = [];
    const offer = (): void => {
      inbox.take({ id: 'x', sender: 'cook', payload: 1 }, { sizeBytes: 1, isKept: false }, (result) => {
        if (result.outcome === 'failed') messages.push(`${result.error.code}: ${result.error.message}`);
      });
    };
    const stop = handlers.onMessage(() => {
      throw new Error('too hot');
    });
    offer();
    stop();
    handlers.onMessage(() => () => 1);
    offer();
    expect(messages).toEqual([
      'handler_failed: too hot',
      'handler_failed: the handler returned a function, which is no JSON',
    ]);
  });

  it('is refused where nobody handles it, where it is too late, and once the inbox is closed', async () => {
    const { handlers, inbox, offer } = begin();
    expect(offer({})).toBe('no_handler');
    handlers.onMessage(() => undefined, { type: 'a' });
    expect(offer({ type: 'b' })).toBe('no_handler');
    expect(offer({ type: 'a', ttl_ms: 0 })).toBe('expired');
    await inbox.close(0);
    expect(offer({ type: 'a' })).toBe('client_closed');
  });

  it('is not handled where its time was over while it waited', async () => {
    const { handlers, clock, offer, results } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler, { concurrency: 1 });
    offer({});
    offer({ ttl_ms: 100 });
    clock.advance(101);
    await settle('m1', 'resolve');
    expect(started).toEqual(['m1']);
    expect(results).toEqual([
      ['m1', 'processed'],
      ['m2', 'expired'],
    ]);
  });

  it('goes to the handler that asks for it most closely; equals take turns', () => {
    const { handlers, offer } = begin();
    const got: string[] = [];
    const note = (name: string): void =>
      void handlers.onMessage(() => void got.push(name), NAMED[name as keyof typeof NAMED]);
    const NAMED = { any: {}, stream: { stream: 's' }, type: { type: 't' }, both: { type: 't', stream: 's' } };
    ['any', 'stream', 'type', 'both'].forEach(note);
    offer({});
    offer({ stream: 's' });
    offer({ type: 't' });
    offer({ type: 't', stream: 's' });
    expect(got).toEqual(['any', 'stream', 'type', 'both']);
    handlers.onMessage(() => void got.push('other'));
    got.length = 0;
    for (let time = 0; time < 4; time += 1) offer({});
    expect(got.sort()).toEqual(['any', 'any', 'other', 'other']);
  });

  it('does not wait for a busy handler while another one that asks for the same is free', async () => {
    const { handlers, offer } = begin();
    const [first, second] = [manual(), manual()];
    handlers.onMessage(first.handler, { concurrency: 1 });
    handlers.onMessage(second.handler, { concurrency: 1 });
    for (let count = 0; count < 4; count += 1) offer({});
    const [busy, free] = first.started[0] === 'm1' ? [first, second] : [second, first];
    await free.settle('m2', 'resolve');
    await free.settle('m3', 'resolve');
    expect([busy.started, free.started]).toEqual([['m1'], ['m2', 'm3', 'm4']]);
  });

  it('is handled without a call within a call, however many wait', async () => {
    const count = 20_000;
    const { handlers, offer, results } = begin({ ...LIMITS, maxInboxMessages: count, maxInboxBytes: 1e9 });
    const { handler, settle } = manual();
    let isSlow = true;
    handlers.onMessage((message) => (isSlow ? handler(message) : undefined), { concurrency: 1 });
    for (let sent = 0; sent < count; sent += 1) offer({});
    isSlow = false;
    await settle('m1', 'resolve');
    expect(results).toHaveLength(count);
  });

  it('that waits for a handler which goes is given to another one', async () => {
    const { handlers, offer, results } = begin();
    const { handler, settle } = manual();
    const stop = handlers.onMessage(handler, { concurrency: 1 });
    offer({});
    offer({});
    const other = handlers.onMessage(() => undefined);
    stop();
    expect(results).toEqual([['m2', 'processed']]);
    other();
    await settle('m1', 'resolve');
    expect(results).toHaveLength(2);
  });
});

describe('a repeat', () => {
  it.each([
    ['of a session', { session: 'a', sequence: 1 }],
    ['of a stream', inStream(1)],
    ['without a session', {}],
  ])('%s is answered, with the reply, and not handled', (_, given) => {
    const { handlers, offer, results } = begin();
    let count = 0;
    handlers.onMessage(() => (count += 1));
    offer({ ...given, id: 'x' });
    offer({ ...given, id: 'x', attempt: 2 });
    expect(count).toBe(1);
    expect(results).toEqual([
      ['x', '{"outcome":"processed","reply":1}'],
      ['x', '{"outcome":"processed","reply":1}'],
    ]);
  });

  it('is none where another sender uses the same id', () => {
    const { handlers, offer } = begin();
    let count = 0;
    handlers.onMessage(() => void (count += 1));
    offer({ id: '1', sender: 'cook' });
    offer({ id: '1', sender: 'guest' });
    expect(count).toBe(2);
  });

  it('is none where a foreign sender, who counts from one again, says something else', () => {
    const { handlers, offer } = begin();
    const payloads: unknown[] = [];
    handlers.onMessage(({ payload }) => void payloads.push(payload));
    offer({ id: '1', payload: 'bread' });
    offer({ id: '1', payload: 'cake' });
    offer({ id: '1', payload: 'bread' });
    expect(payloads).toEqual(['bread', 'cake']);
  });

  it('of one that is being handled waits for the same end', async () => {
    const { handlers, offer, results } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    offer({ id: 'x', session: 'a', sequence: 5 });
    offer({ id: 'x', session: 'a', sequence: 5 });
    await settle('x', 'resolve');
    expect(started).toEqual(['x']);
    expect(results).toEqual([
      ['x', 'processed'],
      ['x', 'processed'],
    ]);
  });

  it('of one that failed is handled again', () => {
    const { handlers, offer, results } = begin();
    let isHot = true;
    handlers.onMessage(() => {
      if (isHot) throw new Error('too hot');
    });
    offer({ id: 'x', session: 'a', sequence: 1 });
    isHot = false;
    offer({ id: 'x', session: 'a', sequence: 1, attempt: 2 });
    expect(results).toEqual([
      ['x', 'handler_failed'],
      ['x', 'processed'],
    ]);
  });

  it('so old that nobody knows is refused, unless it certainly never came', () => {
    const { handlers, offer } = begin();
    let count = 0;
    handlers.onMessage(() => void (count += 1));
    offer({ session: 'a', sequence: 100_000 });
    expect(offer({ session: 'a', sequence: 7, attempt: 2 })).toBe('out_of_order');
    expect(offer({ session: 'a', sequence: 8, attempt: 1 })).toBeUndefined();
    expect(count).toBe(2);
  });
});

describe('a stream', () => {
  it('is handled in order, one at a time, however it comes', async () => {
    const { handlers, offer } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    offer(inStream(3, 1));
    offer(inStream(2, 1));
    expect(started).toEqual([]);
    offer(inStream(1, 1));
    expect(started).toEqual(['s1']);
    await settle('s1', 'resolve');
    expect(started).toEqual(['s1', 's2']);
    await settle('s2', 'resolve');
    expect(started).toEqual(['s1', 's2', 's3']);
  });

  it('waits for one that failed, and handles it again before those behind it', async () => {
    const { handlers, offer } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    offer(inStream(1, 1));
    offer(inStream(2, 1));
    await settle('s1', 'reject', new Error('too hot'));
    expect(started).toEqual(['s1']);
    offer({ ...inStream(1, 1), attempt: 2 });
    await settle('s1', 'resolve');
    expect(started).toEqual(['s1', 's1', 's2']);
  });

  it('does not wait for what its sender has given up', async () => {
    const { handlers, inbox, offer } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    offer(inStream(1, 1));
    offer(inStream(3, 1));
    await settle('s1', 'resolve');
    expect(started).toEqual(['s1']);
    inbox.skip('a', 'dough', 2);
    expect(started).toEqual(['s1', 's3']);
    await settle('s3', 'resolve');
    offer(inStream(6, 6));
    expect(started).toEqual(['s1', 's3', 's6']);
    // What was given up, and comes nevertheless, comes too late.
    expect(offer(inStream(2))).toBe('out_of_order');
    expect(offer(inStream(5))).toBe('out_of_order');
  });

  it('waits no longer than ten seconds, and than most of the time that is left', () => {
    const { handlers, clock, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    offer(inStream(2, 1));
    clock.advance(9_000);
    // What comes meanwhile does not prolong it.
    offer(inStream(3, 1));
    clock.advance(999);
    expect(got).toEqual([]);
    clock.advance(2);
    expect(got).toEqual(['s2', 's3']);
    offer({ ...inStream(9, 4), ttl_ms: 1_000 });
    clock.advance(899);
    expect(got).toHaveLength(2);
    clock.advance(2);
    expect(got).toEqual(['s2', 's3', 's9']);
  });

  it('is patient as long as those that are missing come, one by one', () => {
    const { handlers, clock, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    offer(inStream(5, 1));
    for (const sequence of [1, 2, 3, 4]) {
      clock.advance(9_000);
      offer(inStream(sequence, 1));
    }
    expect(got).toEqual(['s1', 's2', 's3', 's4', 's5']);
  });

  it('waits longer where a directory or a mailbox keeps its messages', () => {
    const { handlers, clock, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    offer(inStream(2, 1), { isKept: true });
    clock.advance(29_000);
    expect(got).toEqual([]);
    clock.advance(1_001);
    expect(got).toEqual(['s2']);
  });

  it('has a reserve of room for those that the others wait for', async () => {
    const { handlers, offer } = begin({ ...LIMITS, maxInboxMessages: 20 });
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    for (let sequence = 5; sequence <= 24; sequence += 1) offer(inStream(sequence, 1));
    expect(offer(inStream(25, 1))).toBe('inbox_full');
    expect(offer(inStream(1, 1))).toBeUndefined();
    expect(offer(inStream(2, 1))).toBeUndefined();
    // The reserve is bounded too; the very next one always gets in.
    expect(offer(inStream(3, 1))).toBe('inbox_full');
    await settle('s1', 'resolve');
    await settle('s2', 'resolve');
    expect(offer(inStream(3, 1))).toBeUndefined();
    expect(started).toEqual(['s1', 's2', 's3']);
  });

  it('gives several gaps up together, since all had their time', () => {
    const { handlers, clock, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    for (const sequence of [2, 4, 6]) offer(inStream(sequence, 1));
    clock.advance(5_000);
    offer(inStream(8, 1));
    clock.advance(5_001);
    expect(got).toEqual(['s2', 's4', 's6']);
    clock.advance(5_000);
    expect(got).toEqual(['s2', 's4', 's6', 's8']);
    expect(clock.pending).toBe(0);
  });

  it('gives up one gap after the other where they are kept: what is missing may have found no room before', () => {
    const { handlers, clock, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    // Kept elsewhere, it came first, and waits the longest.
    for (const sequence of [9, 4]) offer(inStream(sequence, 1), { isKept: true });
    clock.advance(30_001);
    expect(got).toEqual(['s4']);
    for (const sequence of [5, 6, 7, 8]) {
      clock.advance(20_000);
      offer(inStream(sequence, 1), { isKept: true });
    }
    expect(got).toEqual(['s4', 's5', 's6', 's7', 's8', 's9']);
    // No message waits longer than its deadline allows.
    for (const sequence of [12, 14]) offer({ ...inStream(sequence, 1), ttl_ms: 40_000 }, { isKept: true });
    clock.advance(36_001);
    expect(got.slice(6)).toEqual(['s12', 's14']);
    expect(clock.pending).toBe(0);
  });

  it('gives one that failed its time to come again, however long it took', async () => {
    const { handlers, clock, offer } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    offer(inStream(1, 1));
    offer(inStream(2, 1));
    clock.advance(60_000);
    await settle('s1', 'reject', new Error('too hot'));
    clock.advance(9_000);
    expect(started).toEqual(['s1']);
    offer({ ...inStream(1, 1), attempt: 2 });
    expect(started).toEqual(['s1', 's1']);
  });

  it('comes again as a whole when the last handler goes', () => {
    const { handlers, clock, offer, results } = begin();
    const stop = handlers.onMessage(() => undefined);
    for (const sequence of [2, 3, 4]) offer(inStream(sequence, 1), { isKept: true });
    stop();
    offer(inStream(5, 1), { isKept: true });
    clock.advance(30_001);
    expect(results).toEqual([
      ['s2', 'no_handler'],
      ['s3', 'no_handler'],
      ['s4', 'no_handler'],
    ]);
  });

  it('refuses what was given up, however many gaps there are', () => {
    const { handlers, offer } = begin();
    handlers.onMessage(() => undefined);
    for (let sequence = 2; sequence <= 4_000; sequence += 2) offer(inStream(sequence, sequence));
    expect(offer(inStream(1))).toBe('out_of_order');
    expect(offer(inStream(3_999))).toBe('out_of_order');
    expect(offer(inStream(4_000))).toBeUndefined();
  });

  it('lets in the one that the others wait for, however full it is', async () => {
    const { handlers, offer } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    for (let sequence = 1; sequence <= 10; sequence += 1) offer(inStream(sequence, 1));
    await settle('s1', 'reject', new Error('too hot'));
    offer(inStream(11, 1));
    expect(offer(inStream(12, 1))).toBe('inbox_full');
    expect(offer({ ...inStream(1, 1), attempt: 2 })).toBeUndefined();
    await settle('s1', 'resolve');
    expect(started).toEqual(['s1', 's1', 's2']);
  });

  it('waits for none behind itself, whatever its sender says', () => {
    const { handlers, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    offer(inStream(1, 9));
    offer(inStream(2, 9));
    expect(got).toEqual(['s1', 's2']);
  });

  it('begins where its sender says that it may begin', () => {
    const { handlers, offer } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => void got.push(id));
    offer(inStream(58, 57));
    expect(got).toEqual([]);
    offer(inStream(57, 57));
    expect(got).toEqual(['s57', 's58']);
    // Without a word of it, with the first that comes.
    offer({ ...inStream(12), stream: 'other', id: 'o12' });
    expect(got).toEqual(['s57', 's58', 'o12']);
  });
});

describe('a message that its handler gives back', () => {
  it('is neither handled nor failed, and those behind it in its stream come again with it', async () => {
    const { handlers, offer, results } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    for (const sequence of [1, 2, 3]) offer(inStream(sequence, 1), { isKept: true });
    await settle('s1', 'reject', giveBack('the program leaves'));
    expect(results).toEqual([
      ['s1', 'no_handler'],
      ['s2', 'no_handler'],
      ['s3', 'no_handler'],
    ]);
    for (const sequence of [1, 2]) offer(inStream(sequence, 1), { isKept: true });
    await settle('s1', 'resolve');
    await settle('s2', 'resolve');
    expect(started).toEqual(['s1', 's1', 's2']);
  });

  it.each(['no_handler', 'client_closed'] as const)(
    'is told from a call of the handler that fails by %s',
    (code) => {
      const { handlers, offer, results } = begin();
      handlers.onMessage(() => {
        throw new MembraneError(code, 'another membrane said so');
      });
      offer({});
      expect(results).toEqual([['m1', 'handler_failed']]);
    },
  );
});

describe('a message that its source keeps', () => {
  it('is tried again here, and then fails; those of its stream go on behind it', () => {
    const { handlers, clock, offer, results } = begin();
    const got: string[] = [];
    handlers.onMessage(({ id }) => {
      got.push(id);
      if (id === 's1') throw new Error('too hot');
    });
    offer(inStream(1, 1), { isKept: true });
    offer(inStream(2, 2), { isKept: true });
    expect(got).toEqual(['s1']);
    clock.advance(60_000);
    expect(got).toEqual(['s1', 's1', 's1', 's2']);
    expect(results).toEqual([
      ['s1', 'handler_failed'],
      ['s2', 'processed'],
    ]);
    expect(clock.pending).toBe(0);
  });

  it('is tried again here also where it had come over a connection first', async () => {
    const { handlers, clock, offer, results } = begin();
    const { handler, settle, started } = manual();
    handlers.onMessage(handler);
    offer({ id: 'x', session: 'a', sequence: 1 });
    offer({ id: 'x', session: 'a', sequence: 1 }, { isKept: true });
    await settle('x', 'reject', new Error('too hot'));
    expect(results).toEqual([]);
    clock.advance(60_000);
    await settle('x', 'resolve');
    expect(started).toEqual(['x', 'x']);
    expect(results).toEqual([
      ['x', 'processed'],
      ['x', 'processed'],
    ]);
  });
});

describe('the room', () => {
  it('is bounded in messages, and is told when it opens again', async () => {
    const { handlers, inbox, offer } = begin();
    const { handler, settle } = manual();
    const told: number[] = [];
    inbox.onWindowChange(() => told.push(inbox.window));
    expect(inbox.window).toBe(0);
    handlers.onMessage(handler);
    expect(told).toEqual([10]);
    for (let count = 0; count < 10; count += 1) expect(offer({})).toBeUndefined();
    expect(offer({})).toBe('inbox_full');
    expect([inbox.window, told.at(-1)]).toEqual([0, 0]);
    await settle('m1', 'resolve');
    expect([inbox.window, told.at(-1)]).toEqual([1, 1]);
  });

  it('is bounded in bytes, but has room for a single message of any size', async () => {
    const { handlers, offer } = begin();
    const { handler, settle } = manual();
    handlers.onMessage(handler);
    expect(offer({}, { sizeBytes: 5_000 })).toBeUndefined();
    expect(offer({}, { sizeBytes: 1 })).toBe('inbox_full');
    await settle('m1', 'resolve');
    expect(offer({}, { sizeBytes: 600 })).toBeUndefined();
    expect(offer({}, { sizeBytes: 600 })).toBe('inbox_full');
  });

  it('is bounded for those who ask for the end of one message', () => {
    const { handlers, offer } = begin();
    handlers.onMessage(manual().handler);
    const answers = Array.from({ length: 20 }, () => offer({ id: 'x', session: 'a', sequence: 1 }));
    expect(answers.slice(0, 16)).toEqual(Array(16).fill(undefined));
    expect(answers.slice(16)).toEqual(Array(4).fill('inbox_full'));
  });

  it('is bounded in bytes for the replies that are remembered', () => {
    const { handlers, offer, results } = begin();
    handlers.onMessage(() => 'x'.repeat(5 * 1024 * 1024));
    for (const id of ['a', 'b', 'c', 'd']) offer({ id, session: 'a', sequence: id.charCodeAt(0) });
    results.length = 0;
    offer({ id: 'd', session: 'a', sequence: 'd'.charCodeAt(0) });
    offer({ id: 'a', session: 'a', sequence: 'a'.charCodeAt(0) });
    expect(results.map(([id, result]) => [id, result.length > 1_000])).toEqual([
      ['d', true],
      ['a', false],
    ]);
  });

  it('is given back by a close, with what a stream holds, and no timer is left', async () => {
    const { handlers, inbox, clock, offer, results } = begin();
    const { handler, settle } = manual();
    handlers.onMessage(handler);
    offer(inStream(1, 1));
    offer(inStream(2, 1));
    offer({ ...inStream(9, 1), stream: 'other', id: 'o9' });
    const closed = inbox.close(5_000);
    expect(results).toEqual([
      ['s2', 'client_closed'],
      ['o9', 'client_closed'],
    ]);
    await settle('s1', 'resolve');
    await closed;
    expect(results.at(-1)).toEqual(['s1', 'processed']);
    expect(clock.pending).toBe(0);
  });

  it('is given back by a close, which waits for handlers that run', async () => {
    const { handlers, inbox, offer, results } = begin();
    const { handler, settle } = manual();
    handlers.onMessage(handler, { concurrency: 1 });
    offer({});
    offer({});
    const closed = inbox.close(5_000);
    expect(results).toEqual([['m2', 'client_closed']]);
    await settle('m1', 'resolve');
    await closed;
    expect(results).toContainEqual(['m1', 'processed']);
  });
});

it.each([0, 1.5, Number.NaN])('a concurrency of %p is refused', (concurrency) => {
  const { handlers } = begin();
  expect(() => handlers.onMessage(() => undefined, { concurrency })).toThrow(MembraneError);
});
