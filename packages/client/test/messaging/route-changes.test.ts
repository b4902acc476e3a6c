import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CommunicationMode, JsonValue } from '@membrane/protocol';
import { createNamespaceClient } from '../../src/namespace-client.js';
import { eventually } from '../support/eventually.js';
import { useProcesses, type Process } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const RECEIVER = fileURLToPath(new URL('../fixtures/notes-handled.mjs', import.meta.url));
const SENDER = fileURLToPath(new URL('../fixtures/sends-on.mjs', import.meta.url));

/** Processes start and restart on a machine that may have other things to do. */
const DEADLINE_MS = 30_000;

/** Messages that go each way before it changes. */
const EACH_WAY = 30;

const { start, startRegistry } = useProcesses();
// After those, who write there.
const makeDirectory = useTemporaryDirectories();

async function begin() {
  const registry = await startRegistry();
  const directory = await makeDirectory();
  const common = {
    registryUrl: registry.url,
    sharedRoot: join(directory, 'shared'),
    socketDirectory: join(directory, 'sockets'),
  };
  /** An oven as a process that opens these ways. */
  const startOven = async (modes: readonly CommunicationMode[]): Promise<Process> => {
    const oven = start(process.execPath, [RECEIVER, 'oven', JSON.stringify({ ...common, modes })]);
    await eventually('it is registered', () => hasLine(oven, 'ready'), DEADLINE_MS);
    return oven;
  };
  const startCook = (): Process => start(process.execPath, [SENDER, JSON.stringify(common)]);
  return { common, startOven, startCook };
}

function hasLine({ child, said }: Process, line: string): boolean {
  if (said.stderr !== '') throw new Error(said.stderr);
  if (child.exitCode !== null && child.exitCode !== 0) throw new Error(`it ended by ${child.exitCode}`);
  return said.stdout.split('\n').includes(line);
}

/** The numbers that it printed behind a word, in that order. */
function numbersOf({ said }: Process, word: string): number[] {
  return [...said.stdout.matchAll(new RegExp(`^${word} (\\d+)`, 'gm'))].map(([, number]) => Number(number));
}

it('a stream stays in its order while its way changes, and its receiver dies and comes back', async () => {
  const { common, startOven, startCook } = await begin();
  const runs = [await startOven(['ipc', 'network', 'shared-volume'])];
  const cook = startCook();
  /** That many more went this way. */
  const went = async (way: string): Promise<void> => {
    const before = numbersOf(cook, way).length;
    const enough = (): boolean => numbersOf(cook, way).length >= before + EACH_WAY;
    await eventually(`messages go by ${way}`, enough, DEADLINE_MS);
  };
  const last = (): Process => runs.at(-1) as Process;
  const kill = async (): Promise<void> => {
    last().child.kill('SIGKILL');
    await last().ended;
  };

  await went('ipc');
  await kill();
  // Its directory remains while it is away.
  await went('shared-volume');
  runs.push(await startOven(['network', 'shared-volume']));
  await went('network');
  await kill();
  runs.push(await startOven(['shared-volume']));
  await went('shared-volume');
  last().child.stdin?.write('leave\n');
  await last().ended;
  await went('mailbox');
  runs.push(await startOven(['ipc', 'network', 'shared-volume']));
  await went('ipc');
  cook.child.stdin?.end('enough\n');
  expect(await cook.ended).toBe(0);
  expect(cook.said.stderr).toBe('');

  const [count = 0] = numbersOf(cook, 'sent');
  expect(count).toBeGreaterThan(5 * EACH_WAY);
  const all = Array.from({ length: count }, (_, index) => index + 1);
  const reader = createNamespaceClient('oven', { ...common, receive: false });
  const deadNumbers = async (): Promise<JsonValue[]> => {
    const letters = await reader.deadLetters();
    return [...letters.map(({ envelope }) => envelope?.payload ?? 'unreadable'), ...numbersOf(cook, 'dead')];
  };
  try {
    const missing = async (): Promise<number[]> => {
      const ended = new Set([...runs.flatMap((run) => numbersOf(run, 'handled')), ...(await deadNumbers())]);
      return all.filter((number) => !ended.has(number));
    };
    await eventually('all are handled', async () => (await missing()).length === 0, DEADLINE_MS).catch(
      async () => expect(await missing()).toEqual([]),
    );
  } finally {
    await reader.close();
  }
  for (const run of runs) {
    const handled = numbersOf(run, 'handled');
    expect(handled).toEqual([...new Set(handled)].sort((one, other) => one - other));
  }
}, 120_000);
