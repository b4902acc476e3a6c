import { MembraneError } from '@membrane/protocol';
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

describe('the iteration over messages', () => {
  it('has one processed when the next is asked for, or the loop is left', async () => {
    const { handlers, offer, results } = begin();
    const got: unknown[] = [];
    const reading = (async () => {
      for await (const { payload } of handlers.messages()) {
        got.push([payload, results.length]);
        if (payload === 3) break;
      }
    })();
    for (const payload of [1, 2, 3, 4]) offer({ payload });
    await reading;
    await new Promise(setImmediate);
    expect(got).toEqual([
      [1, 0],
      [2, 1],
      [3, 2],
    ]);
    expect([...results].sort()).toEqual([
      ['m1', 'processed'],
      ['m2', 'processed'],
      ['m3', 'processed'],
      ['m4', 'no_handler'],
    ]);
  });

  it('ends by its signal', async () => {
    const { handlers } = begin();
    const end = new AbortController();
    const next = handlers.messages({ signal: end.signal }).next();
    await new Promise(setImmediate);
    end.abort();
    expect(await next).toMatchObject({ done: true });
    expect(handlers.isEmpty).toBe(true);
  });
});

it.each([0, 1.5, Number.NaN])('a concurrency of %p is refused', (concurrency) => {
  const { handlers } = begin();
  expect(() => handlers.onMessage(() => undefined, { concurrency })).toThrow(MembraneError);
});
