import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { MailboxItem, MembraneRecord } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();

/** A file system of 2 MB, or undefined where this user may not mount one. */
async function mountSmallDisk(): Promise<string | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory], { stdio: 'pipe' });
  } catch (error) {
    if (process.env['CI'] === 'true') throw error;
    process.stderr.write('\nSKIPPED: a full disk, since this user may not mount a small one\n');
    return undefined;
  }
  return directory;
}

it('a full disk refuses changes and ends no lease, and when it has room again all goes on', async () => {
  const disk = await mountSmallDisk();
  if (disk === undefined) return;
  const { registry, url } = await startRegistry({ data: disk, cleanupIntervalMs: 50 });
  try {
    await fillAndEmpty(disk, url);
  } finally {
    await registry.stop();
    execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  }
});

it('a full disk refuses mail, hands out what there is, and has all of it when it has room again', async () => {
  const disk = await mountSmallDisk();
  if (disk === undefined) return;
  let { registry, url } = await startRegistry({ data: disk });
  const post = (id: string): ReturnType<typeof send> =>
    send(url, '/messages/oven', { body: { id, sender: 'cook', payload: 'x'.repeat(20_000) } });
  const collect = async (): Promise<MailboxItem[]> =>
    (await send(url, '/messages/oven?max=1000')).json as MailboxItem[];
  try {
    await send(url, '/register', { body: registration('oven', { heartbeat_interval_ms: 60_000 }) });
    const kept: string[] = [];
    const refused = await eventually('a message is refused', async () => {
      const id = `m-${kept.length}`;
      const answer = await post(id);
      if (answer.status === 202) kept.push(id);
      return answer.status === 202 ? undefined : answer;
    });
    expect([refused.status, refused.json]).toEqual([
      503,
      expect.objectContaining({ code: 'store_unavailable' }),
    ]);
    const items = await collect();
    expect(items.map(({ envelope }) => envelope.id)).toEqual(kept);

    await registry.stop();
    execFileSync('mount', ['-o', 'remount,size=16m', disk]);
    ({ registry, url } = await startRegistry({ data: disk }));
    expect((await post('after')).status).toBe(202);
    expect((await collect()).map(({ envelope }) => envelope.id)).toEqual([...kept, 'after']);
  } finally {
    await registry.stop();
    execFileSync('umount', [disk]);
    await rm(disk, { recursive: true });
  }
});

async function fillAndEmpty(disk: string, url: string): Promise<void> {
  const register = (id: string, rest: object = {}): ReturnType<typeof send> =>
    send(url, '/register', { body: registration(id, { heartbeat_interval_ms: 60_000, ...rest }) });
  // It promises more than it keeps, so it would end while the disk is full.
  await register('silent', { heartbeat_interval_ms: 400 });
  await register('alive', { heartbeat_interval_ms: 400 });

  const filler = join(disk, 'filler');
  await writeFile(filler, Buffer.alloc(8 * 1024 * 1024)).catch(() => undefined);
  let acknowledged = 0;
  // The log of the database has some room of its own.
  const refused = await eventually('a change is refused', async () => {
    const answer = await register(`more-${acknowledged}`, { metadata: { pad: 'x'.repeat(10_000) } });
    if (answer.status === 200) acknowledged += 1;
    return answer.status === 200 ? undefined : answer;
  });
  expect([refused.status, refused.json]).toEqual([
    503,
    expect.objectContaining({ code: 'store_unavailable' }),
  ]);

  // Longer than the silent one's whole term.
  const endMs = performance.now() + 2_500;
  await eventually('its term is over', async () => {
    expect((await send(url, '/heartbeat', { body: { id: 'alive' } })).status).toBe(200);
    expect((await send(url, '/discover/silent')).status).toBe(200);
    return performance.now() > endMs;
  });

  await rm(filler);
  await eventually('it takes changes again', async () => {
    expect((await send(url, '/heartbeat', { body: { id: 'alive' } })).status).toBe(200);
    return (await register('after')).status === 200;
  });
  await eventually('silence counts again', async () => {
    expect((await send(url, '/heartbeat', { body: { id: 'alive' } })).status).toBe(200);
    return (await send(url, '/discover/silent')).status === 404;
  });
  const ids = ((await send(url, '/list')).json as MembraneRecord[]).map(({ id }) => id);
  expect(ids.sort()).toEqual(
    ['after', 'alive', ...Array.from({ length: acknowledged }, (_, index) => `more-${index}`)].sort(),
  );
}
