import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';

const REGISTRY = fileURLToPath(new URL('../../../registry/bin/membrane-registry.js', import.meta.url));

export interface Process {
  readonly child: ChildProcess;
  /** What it wrote so far. */
  readonly said: { stdout: string; stderr: string };
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

export interface RegistryProcess extends Process {
  readonly url: string;
  readonly port: number;
  /** Kills it, and resolves when it is gone. */
  kill(): Promise<void>;
}

export interface ProcessOptions {
  readonly cwd?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Real processes, that are killed when the test is over. */
export function useProcesses() {
  const children: ChildProcess[] = [];
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  });

  const start = (command: string, args: readonly string[], options: ProcessOptions = {}): Process => {
    const child = spawn(command, args, {
      env: { ...withoutSettings(process.env), ...options.environment },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    children.push(child);
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('close', (code, signal) => {
        resolve(signal ?? code ?? -1);
      });
    });
    return { child, said, ended };
  };

  const startRegistry = async ({ port = 0, data = ':memory:' } = {}): Promise<RegistryProcess> => {
    const registry = start(process.execPath, [REGISTRY, '--port', String(port), '--data', data]);
    const url = await eventually('the registry is ready', () => {
      if (registry.child.exitCode !== null) throw new Error(registry.said.stdout + registry.said.stderr);
      return /"url":"([^"]+)".*"msg":"ready"/.exec(registry.said.stdout)?.[1];
    });
    const kill = async (): Promise<void> => {
      registry.child.kill('SIGKILL');
      await registry.ended;
    };
    return { ...registry, url, port: Number(new URL(url).port), kill };
  };

  return { start, startRegistry };
}

/** Settings of whoever runs the tests are none of theirs. */
function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !/^MEMBRANE_|^FORCE_COLOR$/.test(name)),
  );
}
