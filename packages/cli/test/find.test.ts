import { spawnSync } from 'node:child_process';
import { BIN, useMembrane, type User } from './support/membrane.js';
import { withoutSettings } from './support/processes.js';
import { registerAt } from './support/registry-view.js';
import { hasTerminals } from './support/terminal.js';

const { begin } = useMembrane();

/** A house with an oven, and one whose words are to be taken with care. */
async function beginHome(): Promise<User & { url: string }> {
  const { registry, ...user } = await begin();
  const { url } = registry;
  await registerAt(url, { id: 'house' });
  await registerAt(url, { id: 'oven', parent: 'house', metadata: { zone: 'a' } });
  await registerAt(url, { id: 'evil', parent: 'gone', metadata: { text: '\u001b[31mred\u001b[2J' } });
  return { ...user, url };
}

describe('list', () => {
  it('prints a line a membrane, with tabs in between, where it is no terminal', async () => {
    const { membrane } = await beginHome();
    const { code, stdout, stderr } = await membrane(['list']);
    expect([code, stderr]).toEqual([0, '']);
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')),
    ).toEqual([
      ['house', 'active', '-', 'ipc', expect.stringMatching(/^\d+ s$/), '/run/house'],
      ['oven', 'active', 'house', 'ipc', expect.stringMatching(/^\d+ s$/), '/run/oven'],
      ['evil', 'active', 'gone (absent)', 'ipc', expect.stringMatching(/^\d+ s$/), '/run/evil'],
    ]);
  });

  it('prints the JSON of the wire', async () => {
    const { membrane } = await beginHome();
    const { stdout } = await membrane(['list', '--json', '--parent', 'house']);
    expect(JSON.parse(stdout)).toEqual([
      expect.objectContaining({ id: 'oven', communication_mode: 'ipc', metadata: { zone: 'a' } }),
    ]);
  });

  it('filters', async () => {
    const { membrane } = await beginHome();
    const ids = async (...args: string[]): Promise<string[]> =>
      (JSON.parse((await membrane(['list', '--json', ...args])).stdout) as { id: string }[]).map(
        ({ id }) => id,
      );
    expect(await ids('--roots')).toEqual(['house']);
    expect(await ids('--meta', 'zone=a')).toEqual(['oven']);
    expect(await ids('--meta', 'floor=1', '--meta', 'zone=a')).toEqual([]);
    expect(await ids('--mode', 'network')).toEqual([]);
    expect(await ids('--status', 'unhealthy')).toEqual([]);
  });

  it('says on standard error that there is nobody', async () => {
    const { membrane } = await beginHome();
    const nobody = { code: 0, stdout: '', stderr: 'no membranes\n' };
    expect(await membrane(['list', '--namespace', 'other'])).toEqual(nobody);
    expect(await membrane(['list', '--namespace', 'other', '--json'])).toEqual({
      code: 0,
      stdout: '[]\n',
      stderr: '',
    });
  });

  it('may be read to its first line only', async () => {
    const { start, url } = await beginHome();
    // More than a pipe holds.
    for (let index = 0; index < 20; index += 1) {
      await registerAt(url, { id: `big-${index}`, metadata: { text: 'x'.repeat(16_000) } });
    }
    const list = start(['list', '--json']);
    list.child.stdout?.once('data', () => list.child.stdout?.destroy());
    expect([await list.ended, list.said.stderr]).toEqual([0, '']);
  });

  it('is a table on a terminal, no wider than it, coloured unless that is unwanted', async () => {
    if (!hasTerminals('tables on a terminal')) return;
    const { environment } = await beginHome();
    const quiet = withoutSettings(process.env);
    const onTerminal = (columns: number, more: Record<string, string>): string =>
      spawnSync('script', ['-qec', `stty cols ${columns}; ${process.execPath} ${BIN} list`, '/dev/null'], {
        encoding: 'utf8',
        env: { ...quiet, ...environment, TERM: 'xterm', ...more },
      }).stdout;
    const plain = onTerminal(50, { NO_COLOR: '1' });
    const lines = plain.trimEnd().split(/\r?\n/);
    expect(lines[0]).toMatch(/^ID +STATUS +PARENT +MODE +HEARD +ENDPOINT$/);
    expect(lines).toHaveLength(4);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
    expect(plain).toContain('…');
    expect(plain).not.toContain('\u001b');
    expect(onTerminal(120, { NO_COLOR: '' })).toContain('\u001b[32mactive');
    // A terminal that does not know its width.
    const whole = onTerminal(0, { NO_COLOR: '1' });
    expect(whole).toMatch(/^evil +active +gone \(absent\) +ipc +\d+ s +\/run\/evil\r?$/m);
    expect(whole).not.toContain('…');
  });
});

describe('discover', () => {
  it('prints what there is to know', async () => {
    const { membrane } = await beginHome();
    const { code, stdout } = await membrane(['discover', 'oven']);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^id: +oven\ninstance: +default\n[^]*parent: +house\nendpoint: +ipc \/run\/oven\nmetadata: +\{"zone":"a"\}\n/,
    );
  });

  it('prints the JSON of the wire, with every replica', async () => {
    const { membrane, url } = await beginHome();
    await registerAt(url, { id: 'oven', parent: 'house', instance_id: 'left' });
    const { code, stdout } = await membrane(['discover', 'oven', '--json']);
    expect([code, JSON.parse(stdout)]).toMatchObject([
      0,
      { id: 'oven', parent: 'house', instances: [{ instance_id: 'default' }, { instance_id: 'left' }] },
    ]);
    expect((await membrane(['discover', 'oven'])).stdout).toMatch(
      /^instance: +default\n[^]*\n\nid: +oven\ninstance: +left\n/m,
    );
  });

  it('shows what is registered by the command itself', async () => {
    const { membrane } = await beginHome();
    await membrane([
      'register',
      'house',
      '--id',
      '1e3',
      '--endpoint',
      'http://10.0.0.7:8080',
      '--meta',
      'heat=1.50',
    ]);
    const { stdout } = await membrane(['discover', '1e3']);
    expect(stdout).toMatch(/^id: +1e3\n/);
    expect(stdout).toMatch(/^endpoint: +network http:\/\/10\.0\.0\.7:8080\nmetadata: +\{"heat":"1\.50"\}$/m);
  });

  it('lets nobody write to the terminal of another', async () => {
    const { membrane } = await beginHome();
    const { stdout } = await membrane(['discover', 'evil']);
    expect(stdout).toContain('red');
    expect(stdout).not.toContain('\u001b');
  });

  it('exits by 4 where there is none', async () => {
    const { membrane, url } = await beginHome();
    expect(await membrane(['discover', 'nobody'])).toEqual({
      code: 4,
      stdout: '',
      stderr: `membrane: no membrane "nobody" in namespace "default" of ${url}; \`membrane list\` shows who is there\n`,
    });
  });
});
