import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useClients } from '../support/clients.js';
import { eventually } from '../support/eventually.js';
import { useProcesses, type Process } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const RECEIVER = fileURLToPath(new URL('../fixtures/notes-handled.mjs', import.meta.url));

/** Processes start and stop on a machine that may have other things to do. */
const DEADLINE_MS = 30_000;

const createClient = useClients();
const { start, startRegistry } = useProcesses();
// After those, who write there.
const makeDirectory = useTemporaryDirectories();

function numbersOf({ said }: Process): number[] {
  return [...said.stdout.matchAll(/^handled (\d+)$/gm)].map(([, number]) => Number(number));
}

async function printed(receiver: Process, line: string): Promise<void> {
  const isThere = (): boolean => receiver.said.stdout.split('\n').includes(line);
  await eventually(`it prints ${line}`, isThere, DEADLINE_MS);
}

it('who was superseded while it stood still reads no more of the directory that its successor reads', async () => {
  const registry = await startRegistry();
  const directory = await makeDirectory();
  const options = {
    registryUrl: registry.url,
    sharedRoot: join(directory, 'shared'),
    socketDirectory: join(directory, 'sockets'),
    modes: ['shared-volume'] as const,
  };
  const startOven = async (): Promise<Process> => {
    const given = { ...options, heartbeatIntervalMs: 1_000 };
    const oven = start(process.execPath, [RECEIVER, 'oven', JSON.stringify(given)]);
    await printed(oven, 'ready');
    return oven;
  };
  const { client: cook } = createClient('cook', options);
  let last = 0;
  const send = async (count: number): Promise<void> => {
    for (const end = last + count; last < end;) {
      last += 1;
      const { route } = await cook.sendMessage('oven', last);
      expect(route.kind).toBe('shared-volume');
    }
  };

  const older = await startOven();
  await send(10);
  await eventually('it handles some', () => numbersOf(older).length > 0, DEADLINE_MS);
  const sent = send(30);
  older.child.kill('SIGSTOP');
  const newer = await startOven();
  await sent;
  await eventually('its successor handles some', () => numbersOf(newer).length > 0, DEADLINE_MS);
  older.child.kill('SIGCONT');
  await send(30);
  await printed(older, 'superseded');
  const handledByOlder = numbersOf(older).length;
  await send(30);
  const handled = (): number[] => [...numbersOf(older), ...numbersOf(newer)];
  await eventually('all are handled', () => new Set(handled()).size === last, DEADLINE_MS);
  expect(handled()).toHaveLength(last);
  expect(numbersOf(older)).toHaveLength(handledByOlder);
  expect([older.said.stderr, newer.said.stderr]).toEqual(['', '']);
}, 120_000);
