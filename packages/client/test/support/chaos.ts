import { fileURLToPath } from 'node:url';
import { useProcesses, type Process } from './processes.js';

const CHAOS = fileURLToPath(new URL('../../../../tools/chaos/chaos.mjs', import.meta.url));

/** Runs `npm run chaos`, with what shortens it. */
export function useChaos(): <Report>(...args: string[]) => Promise<Report> {
  const running: Process[] = [];
  afterEach(async () => {
    // Where the test gave up: asked to end, it ends what it started, which it could not do when it is killed.
    for (const { child, ended } of running.splice(0)) {
      child.kill('SIGTERM');
      await ended;
    }
  });
  const { start } = useProcesses();
  return async <Report>(...args: string[]) => {
    const run = start(process.execPath, [CHAOS, ...args, '--json']);
    running.push(run);
    await run.ended;
    expect(run.said.stderr).toBe('');
    return JSON.parse(run.said.stdout) as Report;
  };
}
