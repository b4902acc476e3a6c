import { setTimeout as sleep } from 'node:timers/promises';
import { LIMITS, MembraneError } from '@membrane/protocol';
import { systemClock } from '../../src/clock.js';
import type { MessageTaker } from '../../src/messaging/message-taker.js';
import type { OutgoingMessage, RouteAddress, Transport } from '../../src/transports/transport.js';
import { eventually } from '../support/eventually.js';
import { FakeTaker } from '../support/fake-taker.js';
import { createTestInbox, Gate, payloadsOf } from '../support/test-inbox.js';
import { codeOf, type TransportSubject } from '../support/transport-subject.js';
import { message } from '../support/transports.js';

const GARBAGE: readonly [string, Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['no JSON', Buffer.from('{"sender":"baker","payload":')],
  ['no text', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
  ['no object', Buffer.from('["baker"]')],
  ['no payload', Buffer.from('{"sender":"baker"}')],
  ['a sender that is no name', Buffer.from('{"sender":"../baker","payload":1}')],
  ['a sequence that is none', Buffer.from('{"sender":"baker","payload":1,"session":"s","sequence":0}')],
  ['a payload too deep', Buffer.from(`{"sender":"baker","payload":${'['.repeat(50)}${']'.repeat(50)}}`)],
];

/** Codes that mean: not any more. */
const TOO_LATE = ['expired', 'not_delivered'];

/** What every transport must do with what is too much, too late, or wrong. */
export function describeTransportLimits(open: () => Promise<TransportSubject>): void {
  describe('with a deadline', () => {
    it('that is over sends nothing', async () => {
      const subject = await open();
      const taker = new FakeTaker();
      await subject.receive(taker);
      const transport = subject.connect();
      const code = await codeOf(transport.send(message('late', { timeoutMs: 0 }), subject.to));
      expect(TOO_LATE).toContain(code);
      await transport.send(message('in time'), subject.to);
      await eventually('the next one came', () => taker.taken.length > 0);
      expect(taker.payloads).toEqual(['in time']);
    });

    it('that passes while it waits for its turn: it is not handled', async () => {
      const subject = await open();
      const gate = new Gate();
      const { inbox, handled } = createTestInbox({ concurrency: 1, handler: () => gate.passed });
      await subject.receive(inbox);
      const transport = subject.connect();
      const first = transport.send(message('first'), subject.to);
      await eventually('the first is being handled', () => handled.length > 0);
      // What is kept must be there before.
      const timeoutMs = subject.strongest === 'queued' ? 2_000 : 300;
      const second = message('second', { timeoutMs });
      const code = await codeOf(transport.send(second, subject.to));
      if (subject.strongest === 'processed') expect(TOO_LATE).toContain(code);
      else expect(code).toBe('queued');
      // The receiver is told what is left, and counts from when it hears of it: before the deadline, by all means.
      const overAtMs = second.deadlineAtMs + timeoutMs;
      await eventually('its time is over', () => systemClock.monotonicMs() > overAtMs);
      gate.open();
      await first;
      await transport.send(message('third'), subject.to);
      await eventually('the third is handled', () => handled.some(({ payload }) => payload === 'third'));
      expect(payloadsOf(handled)).toEqual(['first', 'third']);
      if (subject.deadLetterCodes === undefined) return;
      const codes = await eventually('it is put aside', async () => {
        const found = await subject.deadLetterCodes!();
        return found.length > 0 && found;
      });
      expect(codes).toEqual(['expired']);
    });

    it('waits no longer for a receiver that is stuck', async () => {
      const subject = await open();
      const taker = new FakeTaker();
      taker.onTake = () => undefined;
      await subject.receive(taker);
      const timeoutMs = subject.strongest === 'queued' ? 10_000 : 300;
      const startedAtMs = systemClock.monotonicMs();
      const code = await codeOf(subject.connect().send(message('stuck', { timeoutMs }), subject.to));
      expect(code).toBe(subject.strongest === 'queued' ? 'queued' : 'not_delivered');
      expect(systemClock.monotonicMs() - startedAtMs).toBeLessThan(10_000);
    });
  });

  it('holds senders back where the inbox is full, and loses nothing', async () => {
    const subject = await open();
    const gate = new Gate();
    const maxInboxMessages = 10;
    const { inbox, handled } = createTestInbox({
      limits: { maxInboxMessages },
      concurrency: 4,
      handler: () => gate.passed,
    });
    const counted = new CountingTaker(inbox);
    await subject.receive(counted);
    const transport = subject.connect();
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    const sending = numbers.map((number) => sendUntilTaken(transport, message(number), subject.to));
    await eventually('the inbox is full', () => inbox.window === 0);
    // Whoever does not hold back has the time to show it.
    await sleep(200);
    expect(handled).toHaveLength(4);
    expect(counted.held).toBe(maxInboxMessages);
    gate.open();
    await Promise.all(sending);
    await eventually('all are handled', () => handled.length >= numbers.length);
    expect(counted.maxHeld).toBe(maxInboxMessages);
    expect(handled.map(({ payload }) => Number(payload)).sort((one, other) => one - other)).toEqual(numbers);
  });

  it('refuses a message that is too large, and only that', async () => {
    const subject = await open();
    const taker = new FakeTaker();
    await subject.receive(taker);
    const transport = subject.connect();
    const results = await Promise.all([
      codeOf(transport.send(message('before'), subject.to)),
      codeOf(transport.send(message('x'.repeat(LIMITS.maxMessageBytes)), subject.to)),
      codeOf(transport.send(message('after'), subject.to)),
    ]);
    expect(results).toEqual([subject.strongest, 'payload_too_large', subject.strongest]);
    await eventually('the others came', () => taker.taken.length >= 2);
    expect([...taker.payloads].sort()).toEqual(['after', 'before']);
  });

  it('tells why the receiver refuses a message', async () => {
    const subject = await open();
    const taker = new FakeTaker();
    taker.refusal = new MembraneError('wrong_receiver', 'this is "mill"');
    await subject.receive(taker);
    const code = await codeOf(subject.connect().send(message('bread'), subject.to));
    if (subject.deadLetterCodes === undefined) {
      expect(code).toBe('wrong_receiver');
      return;
    }
    await eventually('it is put aside', async () => (await subject.deadLetterCodes!()).length > 0);
    expect(await subject.deadLetterCodes()).toEqual(['wrong_receiver']);
  });

  it('gets garbage past nobody', async () => {
    const subject = await open();
    if (subject.intrude === undefined) return;
    const taker = new FakeTaker();
    await subject.receive(taker);
    const transport = subject.connect();
    for (const [what, bytes] of GARBAGE) {
      await subject.intrude(bytes);
      await transport.send(message(what), subject.to);
    }
    await eventually('all others came', () => taker.taken.length >= GARBAGE.length);
    expect(taker.payloads).toEqual(GARBAGE.map(([what]) => what));
  });
}

async function sendUntilTaken(
  transport: Transport,
  message: OutgoingMessage,
  to: RouteAddress,
): Promise<void> {
  for (;;) {
    try {
      await transport.send(message, to);
      return;
    } catch (error) {
      const { code, details } = error as MembraneError;
      if (code !== 'inbox_full') throw error;
      await sleep(details.retryAfterMs ?? 50);
    }
  }
}

/** Counts what was taken and is not done. */
class CountingTaker implements MessageTaker {
  held = 0;
  maxHeld = 0;

  readonly #inner: MessageTaker;

  constructor(inner: MessageTaker) {
    this.#inner = inner;
  }

  take: MessageTaker['take'] = (envelope, options, onDone) => {
    this.held += 1;
    const refusal = this.#inner.take(envelope, options, (result) => {
      this.held -= 1;
      onDone(result);
    });
    if (refusal !== undefined) this.held -= 1;
    this.maxHeld = Math.max(this.maxHeld, this.held);
    return refusal;
  };

  skip: MessageTaker['skip'] = (...skipped) => this.#inner.skip(...skipped);

  get window(): number {
    return this.#inner.window;
  }

  onWindowChange(listener: () => void): () => void {
    return this.#inner.onWindowChange(listener);
  }
}
