import { Conversation } from '../../src/messaging/conversation.js';

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
    conversation.settle('a', 1, { keptAt: 'mailbox oven' });
    conversation.settle('a', 2, { keptAt: 'mailbox oven' });
    expect(conversation.floor('a', 3, 'mailbox oven')).toBe(3);
    expect(conversation.floor('a', 3, undefined)).toBe(1);
    // Handled in order: so were those before it.
    conversation.settle('a', 3, 'processed');
    expect(conversation.floor('a', conversation.begin('a'), undefined)).toBe(4);
  });

  it('let those of earlier runs come that may lie anywhere, until they have, or their time is over', () => {
    const earlier = { highest: 1_000, untilMs: Date.now() + 60_000 };
    const conversation = new Conversation('s', earlier);
    conversation.resume('a', 990);
    conversation.resume('a', 1_001);
    expect(conversation.floor('a', 1_001, 'mailbox oven')).toBe(1);
    conversation.settle('a', 990, 'processed');
    expect(conversation.floor('a', 1_001, undefined)).toBe(1);
    conversation.settle('a', 1_001, 'processed');
    conversation.resume('a', 1_002);
    expect(conversation.floor('a', 1_002, undefined)).toBe(1_002);
    const late = new Conversation('s', { ...earlier, untilMs: Date.now() - 1 });
    late.resume('a', 1_001);
    expect(late.floor('a', 1_001, undefined)).toBe(1_001);
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
