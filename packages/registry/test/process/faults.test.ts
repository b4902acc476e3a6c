import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { HeartbeatBatchAnswer, RegistryStatus } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { statusOf, useRegistryProcesses } from '../support/registry-process.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();
const startRegistry = useRegistryProcesses();
const CHAOS = fileURLToPath(new URL('../../../../tools/chaos/chaos.mjs', import.meta.url));
/** So many that a start has to load them in slices. */
const LEASES = 6_000;

it('nothing acknowledged is lost, and nothing half done shows, when the registry is killed', async () => {
  const args = [CHAOS, 'crash', '--rounds', '6', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args).catch((error: unknown) => {
    // Where a promise was broken it says so, and ends by 1.
    const said = error as { code?: unknown; stdout: string };
    if (said.code !== 1 || said.stdout === '') throw error;
    return said;
  });
  const report = JSON.parse(stdout) as {
    rounds: number;
    acknowledged: number;
    unanswered: number;
    violations: string[];
  };
  expect(report.violations).toEqual([]);
  expect(report.rounds).toBe(6);
  // However slow the machine, every round has some.
  expect(report.acknowledged).toBeGreaterThan(report.rounds);
  expect(report.unanswered).toBeGreaterThan(0);
}, 120_000);

it('a registry that stood still for longer than a lease ends nobody who renews', async () => {
  const { url, child } = await startRegistry(['--port', '0', '--data', await makeDirectory()]);
  const intervalMs = 300;
  for (const id of ['renewing', 'silent']) {
    await send(url, '/register', { body: registration(id, { heartbeat_interval_ms: intervalMs }) });
  }
  child.kill('SIGSTOP');
  // Its whole term, and more; the heartbeats sent meanwhile wait in the kernel.
  const waiting: Promise<unknown>[] = [];
  for (let beat = 0; beat < 8; beat += 1) {
    await sleep(intervalMs);
    waiting.push(send(url, '/heartbeat', { body: { id: 'renewing' } }));
  }
  child.kill('SIGCONT');
  await Promise.all(waiting);
  await eventually('the silent one is gone', async () => {
    expect((await send(url, '/heartbeat', { body: { id: 'renewing' } })).status).toBe(200);
    expect(await statusOf(url, 'renewing')).toBe('active');
    return (await statusOf(url, 'silent')) === undefined;
  });
});

it('a restart with thousands of leases ends nobody who renews on time', async () => {
  const data = await makeDirectory();
  const first = await startRegistry(['--port', '0', '--data', data]);
  const intervalMs = 1_000;
  const ids = Array.from({ length: LEASES }, (_, index) => `member-${index}`);
  const left = [...ids];
  const work = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      await send(first.url, '/register', { body: registration(id, { heartbeat_interval_ms: intervalMs }) });
    }
  };
  const beat = (url: string): Promise<{ json: unknown; status: number }> =>
    send(url, '/heartbeat', { body: { heartbeats: ids.map((id) => ({ id })) } });
  // Those registered first must not fall silent until the last one is there.
  const keeper = setInterval(() => void beat(first.url).catch(() => undefined), intervalMs / 2);
  await Promise.all(Array.from({ length: 64 }, work));
  clearInterval(keeper);
  await beat(first.url);
  expect(await first.end('SIGKILL')).toBeNull();

  const { port } = new URL(first.url);
  const starting = startRegistry(['--port', port, '--data', data]);
  const refusals: string[] = [];
  const renewed = await eventually('it takes heartbeats again', async () => {
    const answer = await beat(first.url).catch(() => undefined);
    if (answer?.status === 503) refusals.push((answer.json as { code: string }).code);
    return answer?.status === 200 ? (answer.json as HeartbeatBatchAnswer) : undefined;
  });
  const { url } = await starting;
  expect(renewed).toEqual({ success: true, renewed: LEASES, failed: [] });
  expect(refusals.every((code) => code === 'not_ready')).toBe(true);
  expect(((await send(url, '/status')).json as RegistryStatus).recovering).toBe(true);
  const recovered = await eventually('the first terms are over', async () => {
    expect((await beat(url)).json).toMatchObject({ failed: [] });
    const status = (await send(url, '/status')).json as RegistryStatus;
    return status.recovering ? undefined : status;
  });
  expect(recovered).toMatchObject({ membrane_count: LEASES, counts: { active: LEASES } });
}, 120_000);
