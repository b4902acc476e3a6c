import { useChaos } from '../support/chaos.js';

const runChaos = useChaos();

interface Report {
  readonly soaks: readonly {
    readonly mode: string;
    readonly faults: Record<string, number>;
    readonly sent: number;
    readonly handled: number;
    readonly unkept: number;
    readonly deadLetters: Record<string, number>;
    readonly routes: Record<string, number>;
  }[];
  readonly violations: readonly string[];
}

const MODES = ['ipc', 'network', 'shared-volume', 'mailbox'] as const;

it('messages are handled once and in order, or become dead letters, whoever is killed', async () => {
  // At once, since each waits most of the time: for those that were killed, and for deadlines.
  const reports = await Promise.all(
    MODES.map((mode) => runChaos<Report>('messages', '--short', '--mode', mode)),
  );
  expect(reports.flatMap(({ violations }) => violations)).toEqual([]);
  const soaks = reports.flatMap((report) => report.soaks);
  expect(soaks.map(({ mode }) => mode)).toEqual(MODES);
  for (const { mode, faults, sent, handled, unkept, deadLetters, routes } of soaks) {
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
