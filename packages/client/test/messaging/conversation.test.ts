import { Conversation, MAX_LEAD } from '../../src/messaging/conversation.js';
import { FakeClock } from '../support/fake-clock.js';

describe('the numbers of a conversation', () => {
  it('count each stream by itself, and what has none', () => {
    const conversation = new Conversation('s');
    expect([undefined, undefined, 'a', 'b', 'a'].map((stream) => conversation.begin(stream))).toEqual([
      1, 2, 1, 1, 2,
    ]);
  });

  it('tell the lowest that may still come', () => {
    const conversation = new Conversation('s');
    for (let count = 0; count < 4; count += 1) conversation.begin('a');
    expect(conversation.floor('a', 4, undefined)).toBe(1);
    conversation.settle('a', 1, 'processed');
    conversation.settle('a', 3, 'given-up');
    expect(conversation.floor('a', 4, undefined)).toBe(2);
    conversation.settle('a', 2, 'processed');
    expect(conversation.floor('a', 4, undefined)).toBe(4);
  });

  it('do not wait at a place for what lies there before, but elsewhere they do', () => {
    const conversation = new Conversation('s');
    for (let count = 0; count < 3; count += 1) conversation.begin('a');
    conversation.settle('a', 1, { keptAt: 'mailbox oven', untilMs: Infinity });
    conversation.settle('a', 2, { keptAt: 'mailbox oven', untilMs: Infinity });
    expect(conversation.floor('a', 3, 'mailbox oven')).toBe(3);
    expect(conversation.floor('a', 3, undefined)).toBe(1);
    // Handled in order: so were those before it.
    conversation.settle('a', 3, 'processed');
    expect(conversation.floor('a', conversation.begin('a'), undefined)).toBe(4);
  });

  it('let those of earlier runs come that may lie anywhere, until they have, or their time is over', () => {
    const earlier = { highest: 1_000, untilMs: Date.now() + 60_000 };
    const conversation = new Conversation('s', { earlierRuns: earlier });
    conversation.resume('a', 990);
    conversation.resume('a', 1_001);
    expect(conversation.floor('a', 1_001, 'mailbox oven')).toBe(1);
    conversation.settle('a', 990, 'processed');
    expect(conversation.floor('a', 1_001, undefined)).toBe(1);
    conversation.settle('a', 1_001, 'processed');
    conversation.resume('a', 1_002);
    expect(conversation.floor('a', 1_002, undefined)).toBe(1_002);
    const late = new Conversation('s', { earlierRuns: { ...earlier, untilMs: Date.now() - 1 } });
    late.resume('a', 1_001);
    expect(late.floor('a', 1_001, undefined)).toBe(1_001);
  });

  it('of streams that are done with are forgotten, and none of them is given again', () => {
    const conversation = new Conversation('s');
    for (let count = 0; count < 50_000; count += 1) {
      const stream = `stream ${count}`;
      conversation.settle(stream, conversation.begin(stream), 'processed');
    }
    expect(conversation.rememberedStreams).toBeLessThanOrEqual(1_000);
    const again = conversation.begin('stream 0');
    expect(again).toBeGreaterThan(1);
    // Nobody waits for what lies between.
    expect(conversation.floor('stream 0', again, undefined)).toBe(again);
  });

  it('of streams with messages under way are not forgotten', () => {
    const conversation = new Conversation('s');
    const streams = Array.from({ length: 5_000 }, (_, index) => `stream ${index}`);
    for (const stream of streams) conversation.begin(stream);
    expect(new Set(streams.map((stream) => conversation.begin(stream)))).toEqual(new Set([2]));
    expect(conversation.floor('stream 0', 2, undefined)).toBe(1);
  });

  it('of streams with messages that lie somewhere are forgotten when the time of those is over', () => {
    const clock = new FakeClock();
    const conversation = new Conversation('s', { clock });
    const streams = Array.from({ length: 5_000 }, (_, index) => `stream ${index}`);
    const untilMs = clock.monotonicMs() + 1_000;
    for (const stream of streams) {
      conversation.settle(stream, conversation.begin(stream), { keptAt: 'mailbox oven', untilMs });
    }
    expect(conversation.floor('stream 0', 2, undefined)).toBe(1);
    expect(conversation.rememberedStreams).toBe(5_000);
    clock.advance(3_600_000);
    for (let count = 0; count < 10_000; count += 1) conversation.begin(`another ${count}`);
    expect(conversation.rememberedStreams).toBe(10_000);
  });

  it('without a stream go on in another session where one of them is slow', () => {
    const conversation = new Conversation('s');
    const slow = conversation.begin(undefined);
    const used = new Set<string>();
    for (let count = 0; count < 2 * MAX_LEAD; count += 1) {
      const sequence = conversation.begin(undefined);
      const session = conversation.sessionOf(undefined);
      used.add(session);
      conversation.settle(undefined, sequence, 'processed', session);
    }
    expect([...used]).toEqual(['s', `s+${MAX_LEAD + 2}`]);
    expect(conversation.sessionOf('a')).toBe('s');
    expect(conversation.isIdle).toBe(false);
    conversation.settle(undefined, slow, 'processed', 's');
    expect(conversation.isIdle).toBe(true);
  });

  it('of an outbox go on in another session too, and in theirs after a restart', () => {
    const conversation = new Conversation('s');
    conversation.resume(undefined, 1, 's');
    conversation.resume(undefined, 60_002, 's+60002');
    conversation.resume(undefined, 60_003, 's+60002');
    expect(conversation.sessionOf(undefined)).toBe('s');
    conversation.resume(undefined, 70_000);
    expect(conversation.sessionOf(undefined)).toBe('s+70000');
    conversation.resume(undefined, 70_001);
    expect(conversation.sessionOf(undefined)).toBe('s+70000');
    for (const [sequence, session] of [
      [1, 's'],
      [60_002, 's+60002'],
      [70_000, 's+70000'],
      [70_001, 's+70000'],
    ] as const) {
      conversation.settle(undefined, sequence, 'processed', session);
      expect(conversation.isIdle).toBe(false);
    }
    conversation.settle(undefined, 60_003, 'processed', 's+60002');
    expect(conversation.isIdle).toBe(true);
  });

  it('of a stream tell how far they are ahead of its oldest message', () => {
    const conversation = new Conversation('s');
    conversation.begin('a');
    for (let count = 0; count < MAX_LEAD; count += 1) {
      conversation.settle('a', conversation.begin('a'), 'given-up');
    }
    expect(conversation.lead('a')).toBe(MAX_LEAD);
    conversation.settle('a', 1, 'processed');
    expect(conversation.lead('a')).toBe(0);
  });

  it('go on behind those of an earlier run', () => {
    const conversation = new Conversation('s');
    conversation.resume('a', 7);
    conversation.resume('a', 8);
    expect(conversation.begin('a')).toBe(9);
    expect(conversation.floor('a', 9, undefined)).toBe(7);
    expect(conversation.lead('a')).toBe(2);
    expect(conversation.isIdle).toBe(false);
  });
});
