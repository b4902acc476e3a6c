import { interrupt, printed } from './support/mailroom.js';
import { useSharedRegistry } from './support/shared-registry.js';

const begin = useSharedRegistry();

/** What happened, without the times. */
const rowsIn = (stdout: string): string[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t').slice(1).join(' '));

async function beginHome() {
  const tenant = await begin();
  await tenant.place('house');
  await tenant.place('oven', 'house');
  await tenant.change('oven', 'move', { parent: null });
  return tenant;
}

describe('log', () => {
  it('prints what happened, the newest last', async () => {
    const { membrane } = await beginHome();
    const { code, stdout, stderr } = await membrane(['log']);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z\t/);
    expect(rowsIn(stdout)).toEqual([
      'registered house a root',
      'registered oven below house',
      'moved oven house -> (top)',
    ]);
    expect(rowsIn((await membrane(['log', 'oven', '--limit', '1'])).stdout)).toEqual([
      'moved oven house -> (top)',
    ]);
  });

  it('prints by --json what the wire says, all after a revision', async () => {
    const { membrane } = await beginHome();
    const events = JSON.parse((await membrane(['log', 'oven', '--json'])).stdout) as { revision: number }[];
    expect(events).toMatchObject([
      { event: 'registered', id: 'oven', instance_id: 'default', after: { ancestors: ['house'] } },
      { event: 'moved', id: 'oven' },
    ]);
    const since = String(events[0]?.revision);
    expect(JSON.parse((await membrane(['log', '--json', '--since', since])).stdout)).toEqual([events[1]]);
  });

  it('exits by 4 where nothing is known of a name', async () => {
    const { membrane } = await begin();
    expect(await membrane(['log', 'oven'])).toEqual({
      code: 4,
      stdout: '',
      stderr: 'membrane: nothing is known of "oven"\n',
    });
    expect(await membrane(['log'])).toEqual({ code: 0, stdout: '', stderr: 'no changes\n' });
  });

  it('goes on by --follow, without a gap and without repeats', async () => {
    const { place, change, start } = await beginHome();
    const log = start(['log', 'oven', '--follow', '--limit', '1']);
    await printed(log, 'moved');
    await place('lamp');
    await change('oven', 'drain', { enabled: true, reason: 'new kernel' });
    await printed(log, 'new kernel');
    expect(await interrupt(log)).toBe(0);
    expect(rowsIn(log.said.stdout)).toEqual(['moved oven house -> (top)', 'draining oven new kernel']);
    expect(log.said.stderr).toBe('');
  });
});
