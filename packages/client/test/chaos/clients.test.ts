import { useChaos } from '../support/chaos.js';

const runChaos = useChaos();

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
