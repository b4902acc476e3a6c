import { MembraneError, type Envelope, type MailboxItem } from '@membrane/protocol';
import type { RegistryApi } from '../../src/registry-api.js';
import { MailboxCollector } from '../../src/transports/mailbox-collector.js';
import { FakeClock } from '../support/fake-clock.js';
import { FakeTaker, type Taken } from '../support/fake-taker.js';

type Acks = Parameters<RegistryApi['ackMessages']>[0]['acks'];

interface Poll {
  readonly max: number | undefined;
  readonly answer: (items: MailboxItem[]) => void;
  readonly fail: (error: Error) => void;
}

/** A registry whose answers a test gives, one by one. */
class FakeMailbox {
  readonly polls: Poll[] = [];
  readonly acks: Acks[] = [];
  /** What the next calls answer: void receipts, or an error. */
  readonly ackAnswers: (readonly string[] | MembraneError)[] = [];

  collectMessages: RegistryApi['collectMessages'] = ({ max }, call) =>
    new Promise((answer, fail) => {
      this.polls.push({ max, answer, fail });
      call?.signal?.addEventListener('abort', () => fail(call.signal?.reason as Error));
    });

  ackMessages: RegistryApi['ackMessages'] = ({ acks }) => {
    this.acks.push(acks);
    const answer = this.ackAnswers.shift() ?? [];
    return answer instanceof MembraneError
      ? Promise.reject(answer)
      : Promise.resolve({ success: true, unknown: [...answer] });
  };

  /** Answers the poll that waits. */
  hand(...items: [receipt: string, id: string, rest?: Partial<Envelope>][]): Promise<void> {
    this.polls
      .at(-1)!
      .answer(items.map(([receipt, id, rest]) => ({ receipt, envelope: { ...envelopeOf(id), ...rest } })));
    return settle();
  }

  get receipts(): string[][] {
    return this.acks.map((acks) => acks.map(({ receipt }) => receipt));
  }
}

const envelopeOf = (id: string): Envelope => ({ id, sender: 'baker', target: 'oven', payload: id });

const UNREACHABLE = new MembraneError('registry_unreachable', 'no registry answers');

/** Lets all go on that only waits for a turn of the event loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}

const collectors: MailboxCollector[] = [];
afterEach(() => Promise.all(collectors.splice(0).map((collector) => collector.stop())));

async function setUp({ isHandling = true } = {}) {
  const mailbox = new FakeMailbox();
  const clock = new FakeClock();
  const taker = new FakeTaker();
  const open = new Map<string, Taken>();
  if (isHandling) taker.onTake = (taken) => open.set(taken.envelope.id, taken);
  const collector = new MailboxCollector({
    api: mailbox,
    id: 'oven',
    instanceId: 'default',
    leaseToken: 'token',
    taker,
    clock,
    random: () => 1,
  });
  collectors.push(collector);
  collector.start();
  await settle();
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await settle();
  };
  const finish = (id: string, error?: MembraneError) =>
    open.get(id)!.finish(error === undefined ? { outcome: 'processed' } : { outcome: 'failed', error });
  return { mailbox, clock, taker, collector, pass, finish };
}

describe('a message that is handled for longer than the registry hides it', () => {
  const progress = (...receipts: string[]): Acks =>
    receipts.map((receipt) => ({ receipt, outcome: 'in_progress' }));

  it('is said to be in progress every 10 s, by one call with all others, until it is done', async () => {
    const { mailbox, pass, finish } = await setUp();
    await mailbox.hand(['r1', 'slow']);
    await pass(9_999);
    await mailbox.hand(['r2', 'slower']);
    expect(mailbox.acks).toEqual([]);
    await pass(1);
    finish('slow');
    await pass(10_000);
    finish('slower');
    await pass(10);
    await pass(30_000);
    expect(mailbox.acks).toEqual([
      progress('r1', 'r2'),
      [{ receipt: 'r1', outcome: 'processed' }],
      progress('r2'),
      [{ receipt: 'r2', outcome: 'processed' }],
    ]);
    // And so is the next one.
    await mailbox.hand(['r3', 'late']);
    await pass(10_000);
    expect(mailbox.acks.slice(4)).toEqual([progress('r3')]);
  });

  it('is said to be in progress again, though the registry did not hear it', async () => {
    const { mailbox, pass } = await setUp();
    await mailbox.hand(['r1', 'slow']);
    mailbox.ackAnswers.push(UNREACHABLE);
    await pass(10_000);
    await pass(10_000);
    expect(mailbox.acks).toEqual([progress('r1'), progress('r1')]);
  });

  it('is not said to be in progress to a registry that knows no such word', async () => {
    const { mailbox, collector, pass } = await setUp();
    await mailbox.hand(['r1', 'slow']);
    mailbox.ackAnswers.push(new MembraneError('invalid_request', 'no such outcome'));
    for (let times = 0; times < 4; times += 1) await pass(10_000);
    expect(mailbox.acks).toEqual([progress('r1')]);
    // It may be a newer one after that.
    collector.resume();
    await pass(10_000);
    expect(mailbox.acks).toHaveLength(2);
  });

  it('is said to be in progress by calls that the registry takes, of many', async () => {
    const { mailbox, taker, pass } = await setUp();
    taker.window = 2_000;
    await mailbox.hand(...Array.from({ length: 1_500 }, (_, n): [string, string] => [`r${n}`, `m${n}`]));
    await pass(10_000);
    await pass(1);
    expect(mailbox.acks.map(({ length }) => length)).toEqual([1_000, 500]);
  });

  it('is not handed over again, and is acknowledged by its newest receipt', async () => {
    const { mailbox, taker, pass, finish } = await setUp();
    await mailbox.hand(['first', 'slow']);
    await pass(30_000);
    await mailbox.hand(['second', 'slow'], ['other', 'quick']);
    expect(taker.payloads).toEqual(['slow', 'quick']);
    finish('slow');
    await pass(10);
    expect(mailbox.receipts).toEqual([['first'], ['second']]);
  });

  it('and is acknowledged in vain, is not handled again, but acknowledged when it comes again', async () => {
    const { mailbox, taker, pass, finish } = await setUp();
    await mailbox.hand(['first', 'slow'], ['other', 'broken']);
    mailbox.ackAnswers.push(['first', 'other']);
    finish('slow');
    finish('broken', new MembraneError('handler_failed', 'too hot'));
    await pass(10);
    expect(mailbox.receipts).toEqual([['first', 'other']]);
    await mailbox.hand(['second', 'slow'], ['again', 'broken']);
    await pass(10);
    expect(mailbox.acks[1]).toEqual([
      { receipt: 'second', outcome: 'processed' },
      { receipt: 'again', outcome: 'failed', reason: 'handler_failed: too hot' },
    ]);
    expect(taker.payloads).toEqual(['slow', 'broken']);
    // Known to the registry by now: the same id is another message, such as one that was put back.
    await mailbox.hand(['third', 'broken']);
    expect(taker.payloads).toEqual(['slow', 'broken', 'broken']);
  });
});

it('tells messages of foreign senders apart, though they have the same id', async () => {
  const { mailbox, taker, pass } = await setUp();
  await mailbox.hand(['r1', '1', { sender: 'alice' }], ['r2', '1', { sender: 'bob' }]);
  expect(taker.payloads).toEqual(['1', '1']);
  taker.taken[1]!.finish({ outcome: 'processed' });
  await mailbox.hand(['r3', '1', { sender: 'bob', payload: 'more' }]);
  taker.taken[0]!.finish({ outcome: 'failed', error: new MembraneError('handler_failed', 'too hot') });
  taker.taken[2]!.finish({ outcome: 'processed' });
  await pass(10);
  await pass(10);
  expect(mailbox.acks.flat()).toEqual([
    { receipt: 'r2', outcome: 'processed' },
    { receipt: 'r1', outcome: 'failed', reason: 'handler_failed: too hot' },
    { receipt: 'r3', outcome: 'processed' },
  ]);
});

describe('acknowledgements', () => {
  it('of what finishes together go by one call', async () => {
    const { mailbox, pass } = await setUp({ isHandling: false });
    const items = Array.from({ length: 50 }, (_, index): [string, string] => [`r${index}`, `m${index}`]);
    await mailbox.hand(...items);
    await pass(10);
    expect(mailbox.receipts).toEqual([items.map(([receipt]) => receipt)]);
  });

  it('are sent until the registry has them, less and less often', async () => {
    const { mailbox, pass } = await setUp({ isHandling: false });
    mailbox.ackAnswers.push(UNREACHABLE, UNREACHABLE, UNREACHABLE);
    await mailbox.hand(['r1', 'm1']);
    await pass(10);
    await mailbox.hand(['r2', 'm2']);
    expect(mailbox.receipts).toEqual([['r1']]);
    await pass(500);
    expect(mailbox.receipts).toEqual([['r1'], ['r1', 'r2']]);
    await pass(999);
    expect(mailbox.receipts).toHaveLength(2);
    await pass(1);
    expect(mailbox.receipts.slice(2)).toEqual([['r1', 'r2']]);
    await pass(1_999);
    expect(mailbox.receipts).toHaveLength(3);
    await pass(1);
    expect(mailbox.receipts.slice(3)).toEqual([['r1', 'r2']]);
    await pass(60_000);
    expect(mailbox.receipts).toHaveLength(4);
  });

  it('with long reasons go by several calls', async () => {
    const { mailbox, pass, finish } = await setUp();
    const ids = Array.from({ length: 400 }, (_, index) => `m${index}`);
    for (let start = 0; start < ids.length; start += 100) {
      await mailbox.hand(...ids.slice(start, start + 100).map((id): [string, string] => [id, id]));
    }
    for (const id of ids) finish(id, new MembraneError('handler_failed', '\u{1f525}'.repeat(5_000)));
    await pass(10);
    await pass(10);
    expect(mailbox.acks.length).toBeGreaterThan(1);
    expect(mailbox.receipts.flat()).toEqual(ids);
    for (const acks of mailbox.acks) {
      expect(Buffer.byteLength(JSON.stringify(acks))).toBeLessThan(2 * 1024 * 1024);
      expect(acks[0]!.reason!.length).toBe(2_048);
    }
  });

  it('wait for a lease where there is none', async () => {
    const { mailbox, collector, pass } = await setUp({ isHandling: false });
    mailbox.ackAnswers.push(new MembraneError('not_registered', 'no lease'));
    await mailbox.hand(['r1', 'm1']);
    await pass(10);
    await pass(20_000);
    expect(mailbox.receipts).toEqual([['r1']]);
    collector.resume();
    await pass(10);
    expect(mailbox.receipts).toEqual([['r1'], ['r1']]);
  });
});

describe('a full inbox', () => {
  it('keeps the order: who waits for room is not passed', async () => {
    const { mailbox, taker, pass } = await setUp({ isHandling: false });
    taker.refusal = new MembraneError('inbox_full', 'full');
    await mailbox.hand(['r1', 'm1'], ['r2', 'm2']);
    taker.window = 0;
    await pass(10_000);
    expect(taker.payloads).toEqual([]);
    taker.refusal = undefined;
    taker.window = 1;
    await settle();
    expect(taker.payloads).toEqual(['m1', 'm2']);
    expect(mailbox.polls).toHaveLength(2);
  });

  it('lets replies pass, for which there is room', async () => {
    const { mailbox, taker, pass } = await setUp({ isHandling: false });
    taker.refuse = ({ correlation_id: question }) =>
      question === 'q' ? undefined : new MembraneError('inbox_full', 'full');
    await mailbox.hand(
      ['r1', 'm1'],
      ['r2', 'reply', { correlation_id: 'q' }],
      ['r3', 'm2'],
      // One that a handler is to have.
      ['r4', 'for-a-handler', { correlation_id: 'other' }],
      ['r5', 'another-reply', { correlation_id: 'q' }],
    );
    expect(taker.payloads).toEqual(['reply', 'another-reply']);
    await pass(10);
    expect(mailbox.receipts).toEqual([['r2', 'r5']]);
    await pass(10_000);
    taker.refuse = undefined;
    await pass(100);
    expect(taker.payloads.slice(2)).toEqual(['m1', 'm2', 'for-a-handler']);
    await pass(10);
    expect(mailbox.receipts.slice(1)).toEqual([['r1', 'r3', 'r4']]);
    expect(mailbox.polls).toHaveLength(2);
  });

  it('for so long that the registry hands the messages out again has them come again', async () => {
    const { mailbox, taker, pass } = await setUp({ isHandling: false });
    taker.refusal = new MembraneError('inbox_full', 'full');
    await mailbox.hand(['r1', 'm1'], ['r2', 'm2']);
    for (let second = 0; second < 26; second += 1) await pass(1_000);
    expect(mailbox.polls).toHaveLength(2);
    taker.refusal = undefined;
    await pass(5_000);
    expect(taker.payloads).toEqual([]);
    await mailbox.hand(['r3', 'm1'], ['r4', 'm2']);
    await pass(10);
    expect(mailbox.receipts).toEqual([['r3', 'r4']]);
  });
});

describe('a registry that', () => {
  it('is away is asked less and less often', async () => {
    const { mailbox, pass } = await setUp();
    for (const delayMs of [500, 1_000, 2_000, 4_000, 5_000, 5_000]) {
      const asked = mailbox.polls.length;
      mailbox.polls.at(-1)!.fail(UNREACHABLE);
      await settle();
      await pass(delayMs - 1);
      expect(mailbox.polls).toHaveLength(asked);
      await pass(1);
      expect(mailbox.polls).toHaveLength(asked + 1);
    }
    await mailbox.hand(['r1', 'm1']);
    mailbox.polls.at(-1)!.fail(UNREACHABLE);
    await settle();
    await pass(500);
    expect(mailbox.polls).toHaveLength(9);
  });

  it('does not wait, though it was asked to, is not asked without end', async () => {
    const { mailbox, pass } = await setUp();
    await mailbox.hand();
    expect(mailbox.polls).toHaveLength(1);
    await pass(500);
    await mailbox.hand();
    await pass(999);
    expect(mailbox.polls).toHaveLength(2);
    await pass(1);
    expect(mailbox.polls).toHaveLength(3);
  });

  it('says that there is no lease, after one was made, is asked again', async () => {
    const { mailbox, collector, pass } = await setUp();
    collector.resume();
    mailbox.polls[0]!.fail(new MembraneError('not_registered', 'no lease'));
    await settle();
    await pass(500);
    expect(mailbox.polls).toHaveLength(2);
    mailbox.polls[1]!.fail(new MembraneError('not_registered', 'no lease'));
    await settle();
    await pass(29_000);
    expect(mailbox.polls).toHaveLength(2);
    await pass(1_000);
    expect(mailbox.polls).toHaveLength(3);
  });
});

describe('a collector that is stopped', () => {
  it('acknowledges at once what is done, and later what is being handled', async () => {
    const { mailbox, clock, taker, collector, pass, finish } = await setUp();
    await mailbox.hand(['r1', 'm1'], ['r2', 'm2']);
    finish('m1');
    await collector.stop();
    expect(mailbox.receipts).toEqual([['r1']]);
    expect(taker.listeners).toBe(0);
    await pass(10_000);
    expect(mailbox.acks[1]).toEqual([{ receipt: 'r2', outcome: 'in_progress' }]);
    finish('m2');
    await pass(10);
    await pass(10_000);
    expect(clock.pending).toBe(0);
    expect(mailbox.receipts).toEqual([['r1'], ['r2'], ['r2']]);
    expect(mailbox.polls).toHaveLength(2);
  });

  it('gives back what it has not handed over, and what came back from who left, by a call of its own', async () => {
    const { mailbox, taker, collector, finish } = await setUp();
    await mailbox.hand(['r1', 'm1'], ['r2', 'm2'], ['r3', 'm3']);
    finish('m2', new MembraneError('no_handler', 'gone'));
    finish('m1');
    taker.refusal = new MembraneError('inbox_full', 'full');
    await mailbox.hand(['r4', 'm4'], ['r5', 'm5']);
    mailbox.ackAnswers.push([], new MembraneError('invalid_request', 'an older registry'));
    await collector.stop();
    const [acked, givenBack] = mailbox.receipts;
    expect([acked, givenBack?.sort()]).toEqual([['r1'], ['r2', 'r4', 'r5']]);
    expect(mailbox.acks[1]?.map(({ outcome }) => outcome)).toEqual(Array(3).fill('released'));
  });

  it('and started again at once collects as before', async () => {
    const { mailbox, taker, collector } = await setUp({ isHandling: false });
    const stopped = collector.stop();
    collector.start();
    await stopped;
    await settle();
    await mailbox.hand(['r1', 'm1']);
    expect(taker.payloads).toEqual(['m1']);
  });
});
