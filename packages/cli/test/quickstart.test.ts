import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const QUICKSTART = fileURLToPath(
  new URL('../../../examples/distributed-namespace/quickstart/quickstart.mjs', import.meta.url),
);

const line = (...cells: string[]): RegExp => new RegExp(`^${cells.join('\t')}$`, 'm');

describe('the quickstart', () => {
  it('tells its story and leaves nothing behind', async () => {
    const temporary = await mkdtemp(join(tmpdir(), 'membrane-quickstart-test-'));
    const child = spawn(process.execPath, [QUICKSTART, '--once'], {
      env: { ...process.env, TMPDIR: temporary },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, said }).toMatchObject({ code: 0 });
    const [beginning = '', unhealthy = '', gone = '', restarted = ''] = said.split(
      /The lamp is killed|and after five|The registry stops/,
    );
    for (const id of ['kitchen\tactive\thouse', 'oven\tactive\tkitchen', 'lamp\tactive\tkitchen']) {
      expect(beginning).toMatch(line(id, 'network', '\\d s', 'http://\\w+\\.example'));
    }
    expect(beginning).toMatch(/\$ membrane discover oven\nid: +oven\n/);
    expect(unhealthy).toMatch(
      line('lamp', 'unhealthy', 'kitchen', 'network', '\\d s', 'http://lamp.example'),
    );
    expect(gone).not.toContain('lamp.example');
    for (const id of ['house', 'kitchen', 'oven'])
      expect(restarted).toMatch(line(id, 'active', '\\S+', 'network', '\\d s', 'http://\\S+'));
    expect(await readdir(temporary)).toEqual([]);
    await rm(temporary, { recursive: true });
  }, 60_000);
});
