import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';
import { send } from './http.js';

const BIN = fileURLToPath(new URL('../../bin/membrane-registry.js', import.meta.url));

export interface RegistryProcess {
  readonly child: ChildProcess;
  readonly url: string;
  /** Its log so far, an entry a line. */
  readonly log: Record<string, unknown>[];
  /** Ends it with a signal, and resolves to its exit code; null where the signal ended it. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

/** Real registries, that are killed when the test is over. */
export function useRegistryProcesses(): (
  args: readonly string[],
  environment?: Record<string, string>,
) => Promise<RegistryProcess> {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  return async (args, environment = {}) => {
    const child = spawn(process.execPath, [BIN, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    });
    children.push(child);
    const log: Record<string, unknown>[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      log.push(JSON.parse(line) as Record<string, unknown>);
    });
    const ready = await eventually('the registry is ready', () => log.find(({ msg }) => msg === 'ready'));
    const end = async (signal: NodeJS.Signals): Promise<number | null> => {
      const exited = once(child, 'exit') as Promise<[number | null]>;
      child.kill(signal);
      return (await exited)[0];
    };
    return { child, url: String(ready['url']), log, end };
  };
}

/** A run that ends by itself: its exit code and what it said. */
export async function runRegistryProcess(
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const child = spawn(process.execPath, [BIN, ...args], { env: { ...process.env, ...environment } });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

/** The status of a membrane; undefined where it is not there. */
export async function statusOf(url: string, id: string): Promise<string | undefined> {
  const { json } = await send(url, `/discover/${id}`);
  return (json as { status?: string | number }).status === 404
    ? undefined
    : (json as { status: string }).status;
}
