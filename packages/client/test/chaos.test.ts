import { fileURLToPath } from 'node:url';
import { useProcesses, type Process } from './support/processes.js';

const CHAOS = fileURLToPath(new URL('../../../tools/chaos/chaos.mjs', import.meta.url));

let running: Process | undefined;
afterEach(async () => {
  // Where the test gave up: asked to end, it ends what it started, which it could not do when it is killed.
  running?.child.kill('SIGTERM');
  await running?.ended;
});
const { start } = useProcesses();

/** A short run of `npm run chaos`. */
async function runChaos<Report>(...args: string[]): Promise<Report> {
  running = start(process.execPath, [CHAOS, ...args, '--json']);
  const { said, ended } = running;
  await ended;
  expect(said.stderr).toBe('');
  return JSON.parse(said.stdout) as Report;
}

it('clients get over a registry that is killed, stopped, suspended, emptied and rolled back', async () => {
  const report = await runChaos<{
    faults: Record<string, number>;
    overtaken: number;
    recovery: { count: number };
    events: Record<string, number>;
    violations: string[];
    // How soon they get over it is for the full run to tell, on a machine of its own.
  }>('clients', '--clients', '12', '--seconds', '12', '--allowance', '15000');
  expect(report.violations).toEqual([]);
  const counts = Object.values(report.faults);
  expect(Math.min(...counts)).toBeGreaterThanOrEqual(1);
  const faults = counts.reduce((sum, count) => sum + count, 0);
  // Each client after each fault that it was given the time to get over: the last one at least.
  expect(report.recovery.count).toBe(12 * (faults - report.overtaken));
  expect(report.recovery.count).toBeGreaterThanOrEqual(12);
  expect(report.events).toMatchObject({ registryUnreachable: expect.any(Number) as number });
}, 120_000);

it('of two processes of one name the newer has it for good', async () => {
  const report = await runChaos<{
    cases: Record<string, { registrations: string[]; looks: number }>;
    violations: string[];
  }>('takeover', '--seconds', '5');
  expect(report.violations).toEqual([]);
  expect(Object.keys(report.cases)).toEqual(['running', 'suspended', 'expired', 'forgotten']);
  expect(report.cases['suspended']?.registrations).toEqual(['older', 'newer']);
  expect(report.cases['forgotten']?.registrations).toEqual(['older', 'newer', 'newer']);
  expect(report.cases['running']?.looks).toBeGreaterThan(25);
}, 60_000);

it('messages are handled once and in order, or become dead letters, whoever is killed', async () => {
  const report = await runChaos<{
    soaks: {
      mode: string;
      faults: Record<string, number>;
      sent: number;
      handled: number;
      unkept: number;
      deadLetters: Record<string, number>;
      routes: Record<string, number>;
    }[];
    violations: string[];
  }>('messages', '--short');
  expect(report.violations).toEqual([]);
  expect(report.soaks.map(({ mode }) => mode)).toEqual(['ipc', 'network', 'shared-volume', 'mailbox']);
  for (const { mode, faults, sent, handled, unkept, deadLetters, routes } of report.soaks) {
    expect(Object.keys(faults).sort()).toEqual([
      'receiverKilled',
      'receiverStopped',
      'senderKilled',
      'senderStopped',
    ]);
    expect(sent).toBe(150);
    const dead = Object.values(deadLetters).reduce((sum, count) => sum + count, 0);
    expect(handled + dead + unkept).toBeGreaterThanOrEqual(sent);
    // Most get there, by the way that is meant.
    expect(handled).toBeGreaterThan(75);
    expect(routes[mode]).toBeGreaterThan(15);
  }
}, 180_000);
