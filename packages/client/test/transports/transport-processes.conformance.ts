import { fileURLToPath } from 'node:url';
import { eventually } from '../support/eventually.js';
import { useProcesses, type Process } from '../support/processes.js';
import { createTestInbox, Gate, payloadsOf } from '../support/test-inbox.js';
import { codeOf, inStream, type TransportSubject } from '../support/transport-subject.js';

const RECEIVER = fileURLToPath(new URL('../fixtures/message-receiver.mjs', import.meta.url));
const SENDER = fileURLToPath(new URL('../fixtures/message-sender.mjs', import.meta.url));
const ENDLESS = 1_000_000;

/** What every transport must do whose ends are in processes that may be killed. */
export function describeTransportProcesses(open: () => Promise<TransportSubject>): void {
  const { start } = useProcesses();

  async function startReceiver({ place }: TransportSubject, mode: 'hold' | 'handle'): Promise<Process> {
    const receiver = start(process.execPath, [RECEIVER, JSON.stringify(place), mode]);
    await eventually('the receiver is ready', () => said(receiver, 'ready'));
    return receiver;
  }

  function startSender({ place }: TransportSubject, ...args: (string | number)[]): Process {
    return start(process.execPath, [SENDER, JSON.stringify(place), ...args.map(String)]);
  }

  it('has a message that a killed receiver had taken handled by the next one', async () => {
    const subject = await open();
    const transport = subject.connect();
    const first = await startReceiver(subject, 'hold');
    const sent = inStream(1, 1);
    const sending = codeOf(transport.send(sent, subject.to));
    await eventually('it is being handled', () => said(first, 'took 1'));
    await kill(first);
    expect(await sending).toBe(subject.strongest === 'queued' ? 'queued' : 'not_delivered');
    const second = await startReceiver(subject, 'handle');
    if (subject.strongest === 'processed') {
      const again = { ...sent, envelope: { ...sent.envelope, attempt: 2 } };
      expect(await codeOf(transport.send(again, subject.to))).toBe('processed');
    }
    await eventually('it is handled', () => said(second, 'took 1'));
  });

  it('has a message handled once whose sender was killed before the answer, and sends it again', async () => {
    const subject = await open();
    const gate = new Gate();
    const { inbox, handled } = createTestInbox({ handler: () => gate.passed });
    await subject.receive(inbox);
    const first = startSender(subject, 1, 1, 1);
    await eventually('it is being handled', () => handled.length > 0);
    await kill(first);
    const second = startSender(subject, 1, 2, 2, 'again');
    gate.open();
    await eventually('both are settled', () => said(second, 'all done'));
    await eventually('both are handled', () => handled.length >= 2);
    expect(payloadsOf(handled)).toEqual([1, 2]);
  });

  it('loses nothing and keeps the order while both ends are killed and come back', async () => {
    const subject = await open();
    const windowSize = subject.strongest === 'queued' ? 1 : 10;
    const firstReceiver = await startReceiver(subject, 'handle');
    const firstSender = startSender(subject, 1, ENDLESS, windowSize);
    await eventually('some are handled', () => numbers(firstReceiver, 'took').length >= 50);
    await kill(firstReceiver);
    const secondReceiver = await startReceiver(subject, 'handle');
    await eventually('more are handled', () => numbers(secondReceiver, 'took').length >= 50);
    await kill(firstSender);
    const isDone = new Set(numbers(firstSender, 'done'));
    let from = 1;
    while (isDone.has(from)) from += 1;
    const last = Math.max(...isDone) + 50;
    const secondSender = startSender(subject, from, last, windowSize, 'again');
    await eventually('all are settled', () => said(secondSender, 'all done'), 60_000);
    const all = (): Set<number> =>
      new Set([...numbers(firstReceiver, 'took'), ...numbers(secondReceiver, 'took')]);
    await eventually('all are handled', () => all().size >= last, 60_000);
    expect([...all()].sort((one, other) => one - other)).toEqual(
      Array.from({ length: last }, (_, index) => index + 1),
    );
    for (const receiver of [firstReceiver, secondReceiver]) {
      const taken = numbers(receiver, 'took');
      // Ascending, and none of them twice.
      expect(taken).toEqual([...new Set(taken)].sort((one, other) => one - other));
      expect(receiver.said.stderr).toBe('');
    }
  }, 120_000);
}

async function kill({ child, ended }: Process): Promise<void> {
  child.kill('SIGKILL');
  await ended;
}

function said({ said: { stdout, stderr } }: Process, line: string): boolean {
  if (stderr !== '') throw new Error(stderr);
  return stdout.split('\n').includes(line);
}

/** Those that are printed behind a word, in that order. The last line may be cut off. */
function numbers({ said: { stdout } }: Process, word: string): number[] {
  return stdout
    .slice(0, stdout.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line.startsWith(`${word} `))
    .map((line) => Number(line.slice(word.length + 1)));
}
