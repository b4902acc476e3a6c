import { setTimeout as sleep } from 'node:timers/promises';
import type { JsonValue } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { FakeTaker } from '../support/fake-taker.js';
import { createTestInbox, Gate, payloadsOf } from '../support/test-inbox.js';
import { message } from '../support/transports.js';
import { codeOf, inStream, type TransportSubject } from '../support/transport-subject.js';
import { describeTransportLimits } from './transport-limits.conformance.js';
import { describeTransportProcesses } from './transport-processes.conformance.js';

const BODIES: readonly [string, JsonValue][] = [
  ['null', null],
  ['false', false],
  ['zero', 0],
  ['a small number', -1.5e-300],
  ['an empty text', ''],
  ['words', 'Grüße, 世界, 🥖, \u2028, "quoted", \\ and \u0000'],
  ['half of a surrogate pair', '\ud83e'],
  ['an empty list', []],
  ['an empty object', {}],
  ['an object', { 'a key': [1, [2, { three: null }]], '': 'empty', ключ: true }],
  ['900 KiB', 'x'.repeat(900 * 1024)],
];

/**
 * What every transport must do.
 * @param open gives an empty place each time
 * @param options `isInOneProcess`: its ends cannot be killed
 */
export function describeTransport(
  name: string,
  open: () => Promise<TransportSubject>,
  { isInOneProcess = false } = {},
): void {
  describe(`${name} as a transport`, () => {
    it.each(BODIES)('delivers %s unchanged', async (_, payload) => {
      const subject = await open();
      const taker = new FakeTaker();
      await subject.receive(taker);
      const { outcome } = await subject.connect().send(message(payload), subject.to);
      expect(outcome).toBe(subject.strongest);
      await eventually('it came', () => taker.taken.length > 0);
      expect(taker.payloads).toStrictEqual([payload]);
    });

    it('carries the whole envelope, with the time that is left', async () => {
      const subject = await open();
      const taker = new FakeTaker();
      await subject.receive(taker);
      const sent = message('bread', { timeoutMs: 10_000 });
      Object.assign(sent.envelope, {
        type: 'order',
        reply_to: 'baker',
        path: ['relay-1'],
        floor: 7,
        stream: 's',
      });
      await subject.connect().send(sent, subject.to);
      await eventually('it came', () => taker.taken.length > 0);
      const { ttl_ms: ttlMs, timestamp, ...rest } = taker.taken[0]!.envelope;
      const { timestamp: sentAt, ...expected } = sent.envelope;
      expect(rest).toMatchObject(expected);
      expect(Math.abs(timestamp! - sentAt!)).toBeLessThan(10);
      expect(ttlMs).toBeGreaterThan(0);
      expect(ttlMs).toBeLessThanOrEqual(10_000);
      expect(taker.taken[0]!.options.isKept).toBe(subject.strongest === 'queued');
      expect(taker.taken[0]!.options.sizeBytes).toBeGreaterThan(JSON.stringify(rest).length / 2);
    });

    it('tells no more than it knows: what the handler replied, or that the message is kept', async () => {
      const subject = await open();
      const reply = { temperature: 220, words: ['heiß', '"', '\n'] };
      const gate = new Gate();
      const { inbox, handled } = createTestInbox({ handler: () => gate.passed.then(() => reply) });
      const isKept = subject.strongest === 'queued';
      if (!isKept) await subject.receive(inbox);
      let accepted = 0;
      const sending = subject
        .connect()
        .send(message('how hot?'), subject.to, { onAccepted: () => (accepted += 1) });
      if (isKept) {
        expect(await sending).toEqual({ outcome: 'queued' });
        await subject.receive(inbox);
      }
      await eventually('it is being handled', () => handled.length > 0);
      if (subject.tellsAccepted) await eventually('it is accepted', () => accepted > 0);
      gate.open();
      if (!isKept) expect(await sending).toEqual({ outcome: 'processed', reply });
      expect(accepted).toBe(subject.tellsAccepted ? 1 : 0);
    });

    it('sends to several handlers at once', async () => {
      const subject = await open();
      const gate = new Gate();
      const { inbox, handled } = createTestInbox({ concurrency: 4, handler: () => gate.passed });
      await subject.receive(inbox);
      const transport = subject.connect();
      const sending = [1, 2, 3, 4].map((number) => transport.send(message(number), subject.to));
      await eventually('all are being handled', () => handled.length === 4);
      gate.open();
      await Promise.all(sending);
    });

    it('answers a message that was handled, and does not have it handled again', async () => {
      const subject = await open();
      const { inbox, handled } = createTestInbox({ handler: ({ payload }) => ({ got: payload }) });
      await subject.receive(inbox);
      const first = message('once');
      const transport = subject.connect();
      const one = await transport.send(first, subject.to);
      await eventually('it is handled', () => handled.length === 1);
      const again = { ...first, envelope: { ...first.envelope, attempt: 2 } };
      expect(await transport.send(again, subject.to)).toEqual(one);
      await transport.send(message('another'), subject.to);
      await eventually('the next one is handled', () => handled.length > 1);
      expect(payloadsOf(handled)).toEqual(['once', 'another']);
    });

    it('keeps the order of a stream of messages that are sent together', async () => {
      const subject = await open();
      const { inbox, handled } = createTestInbox({
        // Some take longer, which must not let others pass.
        handler: ({ payload }) => (Number(payload) % 7 === 0 ? sleep(1, undefined) : undefined),
      });
      await subject.receive(inbox);
      const transport = subject.connect();
      const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
      const results = await Promise.all(
        numbers.map((number) => transport.send(inStream(number, 1), subject.to)),
      );
      expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set([subject.strongest]));
      await eventually('all are handled', () => handled.length >= numbers.length);
      expect(payloadsOf(handled)).toEqual(numbers);
    });

    it('ends a send with the reason of its signal', async () => {
      const subject = await open();
      const taker = new FakeTaker();
      taker.onTake = () => undefined;
      await subject.receive(taker);
      const transport = subject.connect();
      const before = AbortSignal.abort(new Error('not now'));
      await expect(transport.send(message('never'), subject.to, { signal: before })).rejects.toThrow(
        'not now',
      );
      const abort = new AbortController();
      const sending = transport.send(message('stopped'), subject.to, { signal: abort.signal });
      await eventually('it came', () => taker.taken.length > 0);
      abort.abort(new Error('changed my mind'));
      const [ended] = await Promise.allSettled([sending]);
      // What is kept may be so by then.
      if (subject.strongest === 'processed') expect(ended.status).toBe('rejected');
      if (ended.status === 'rejected') expect(String(ended.reason)).toContain('changed my mind');
      expect(taker.payloads).toEqual(['stopped']);
    });

    it('reaches a receiver that was away', async () => {
      const subject = await open();
      const earlier = new FakeTaker();
      const receiver = await subject.receive(earlier);
      const transport = subject.connect();
      await transport.send(message('first'), subject.to);
      await eventually('the first came', () => earlier.taken.length > 0);
      await receiver.close();
      const second = message('second');
      const code = await codeOf(transport.send(second, subject.to));
      if (subject.strongest === 'queued') expect(code).toBe('queued');
      else expect(['not_delivered', 'wrong_receiver']).toContain(code);
      const later = new FakeTaker();
      await subject.receive(later);
      if (subject.strongest === 'processed') await transport.send(second, subject.to);
      await eventually('the second came', () => later.taken.length > 0);
      expect(earlier.payloads).toEqual(['first']);
      expect(later.payloads).toEqual(['second']);
    });

    describeTransportLimits(open);
    if (!isInOneProcess) describeTransportProcesses(open);
  });
}
