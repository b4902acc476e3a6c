import fc from 'fast-check';
import { Conversation } from '../../src/messaging/conversation.js';
import { Handlers } from '../../src/messaging/handlers.js';
import { Inbox } from '../../src/messaging/inbox.js';
import type { HandlingResult } from '../../src/messaging/message-taker.js';
import type { KnownEnvelope, Message } from '../../src/messaging/message.js';
import { FakeClock } from '../support/fake-clock.js';

const RUNS = Number(process.env['MEMBRANE_PROPERTY_RUNS'] ?? 120);
const STREAMS = [undefined, 'a', 'b'] as const;

/** One thing that happens; numbers choose among what there is. */
type Step =
  | { do: 'send'; stream: number }
  /** Offers a message that is not settled: for the first time, or again. */
  | { do: 'offer'; which: number }
  | { do: 'return'; which: number }
  | { do: 'throw'; which: number }
  | { do: 'give-up'; which: number }
  | { do: 'wait'; ms: number }
  | { do: 'restart' };

const which = fc.nat(1_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('send' as const), stream: fc.nat(2) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('offer' as const), which }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('return' as const), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('throw' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('give-up' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(3_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

interface Sent {
  readonly envelope: KnownEnvelope;
  /** What its sender knows. */
  state: 'open' | 'processed' | 'given-up' | 'refused';
}

interface Handled {
  readonly id: string;
  readonly stream: string | undefined;
  readonly sequence: number;
}

interface Running {
  readonly message: Message;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A sender that does what the messenger does, and a receiver of which it notes what its handlers see. */
class World {
  clock = new FakeClock();
  readonly #conversation = new Conversation('session');
  readonly #sent: Sent[] = [];
  /** Of this run of the receiver. */
  #handled: Handled[] = [];
  #running: Running[] = [];
  #inbox = this.#start();

  #start(): Inbox {
    const handlers = new Handlers({ concurrency: 3 });
    handlers.onMessage(
      (message) => new Promise<void>((resolve, reject) => this.#running.push({ message, resolve, reject })),
    );
    const limits = { maxInboxMessages: 6, maxInboxBytes: 1_000, handlerTries: 1 };
    return new Inbox({ handlers, limits, clock: this.clock, random: () => 0.5 });
  }

  async apply(now: Step): Promise<void> {
    switch (now.do) {
      case 'send': {
        const stream = STREAMS[now.stream];
        const sequence = this.#conversation.begin(stream);
        const envelope = {
          id: `${stream ?? '-'}${sequence}`,
          sender: 'x',
          payload: 1,
          session: 'session',
          sequence,
        };
        this.#sent.push({ envelope: { ...envelope, ...(stream && { stream }), attempt: 1 }, state: 'open' });
        return;
      }
      case 'offer':
        this.offer(this.pick(this.open, now.which));
        return;
      case 'return':
      case 'throw':
        await this.end(this.pick(this.#running, now.which), now.do === 'return');
        return;
      case 'give-up':
        this.giveUp(this.pick(this.open, now.which));
        return;
      case 'wait':
        this.clock.advance(now.ms);
        return;
      case 'restart':
        // What a process forgets when it is killed.
        this.#handled = [];
        this.#running = [];
        this.clock = new FakeClock();
        this.#inbox = this.#start();
    }
  }

  get open(): Sent[] {
    return this.#sent.filter(({ state }) => state === 'open');
  }

  pick<Item>(items: readonly Item[], which: number): Item | undefined {
    return items[which % Math.max(1, items.length)];
  }

  offer(sent: Sent | undefined): void {
    if (sent === undefined) return;
    const { envelope } = sent;
    const { stream, sequence = 0 } = envelope;
    if (stream != null) envelope.floor = this.#conversation.floor(stream, sequence ?? 0, undefined);
    const inbox = this.#inbox;
    const onDone = (result: HandlingResult): void => {
      // A receiver that is gone says nothing more.
      if (inbox === this.#inbox && result.outcome === 'processed') this.settle(sent, 'processed');
    };
    const refusal = inbox.take({ ...envelope }, { sizeBytes: 10, isKept: false }, onDone);
    envelope.attempt = (envelope.attempt ?? 1) + 1;
    if (refusal === undefined || refusal.code === 'inbox_full') return;
    expect(refusal.code).toBe('out_of_order');
    this.settle(sent, 'refused');
  }

  giveUp(sent: Sent | undefined): void {
    if (sent === undefined) return;
    this.settle(sent, 'given-up');
    const { stream, sequence } = sent.envelope;
    if (stream != null) this.#inbox.skip('session', stream, sequence ?? 0);
  }

  settle(sent: Sent, state: Sent['state']): void {
    if (sent.state !== 'open') return;
    sent.state = state;
    const { stream, sequence } = sent.envelope;
    this.#conversation.settle(stream ?? undefined, sequence ?? 0, state === 'processed' ? state : 'given-up');
  }

  async end(running: Running | undefined, isFine: boolean): Promise<void> {
    if (running === undefined) return;
    this.#running = this.#running.filter((other) => other !== running);
    const { id } = running.message;
    const sent = this.#sent.find(({ envelope }) => envelope.id === id);
    if (isFine) {
      const { stream, sequence } = sent?.envelope ?? {};
      this.note({ id, stream: stream ?? undefined, sequence: sequence ?? 0 });
      running.resolve();
    } else running.reject(new Error('too hot'));
    await new Promise(setImmediate);
  }

  /** One handler of one process sees nothing twice, and every stream in order. */
  note(handled: Handled): void {
    for (const before of this.#handled) {
      expect(before.id).not.toBe(handled.id);
      if (handled.stream !== undefined && before.stream === handled.stream) {
        expect(before.sequence).toBeLessThan(handled.sequence);
      }
    }
    this.#handled.push(handled);
  }

  /** Whatever its sender goes on with is handled, or refused for good; then nothing is left. */
  async finish(): Promise<void> {
    for (let round = 0; this.open.length > 0 || this.#running.length > 0; round += 1) {
      expect(round).toBeLessThan(500);
      for (const sent of this.open) this.offer(sent);
      await this.end(this.#running[0], true);
      this.clock.advance(100);
    }
    expect(this.#inbox.window).toBe(6);
    expect(this.clock.pending).toBe(0);
  }
}

it('nothing is handled twice, streams stay in order, and all that is sent on is settled', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 120 }), async (steps) => {
      const world = new World();
      for (const one of steps) await world.apply(one);
      await world.finish();
    }),
    { numRuns: RUNS },
  );
}, 120_000);
