import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.js';

const REGISTRY = fileURLToPath(new URL('../../../registry/bin/membrane-registry.js', import.meta.url));

/** A command takes a third of a second; on a busy machine a test with ten of them takes long. */
const TEST_TIMEOUT_MS = 60_000;

export interface Process {
  readonly child: ChildProcess;
  /** What it wrote so far. */
  readonly said: { readonly stdout: string; readonly stderr: string };
  readonly bytes: { readonly stdout: Buffer; readonly stderr: Buffer };
  /** Its exit code, or the signal that ended it, when its streams are closed too. */
  readonly ended: Promise<number | NodeJS.Signals>;
  /** Whether it, or one that it started, lives. */
  isAlive(): boolean;
}

export interface RegistryProcess extends Process {
  readonly url: string;
  readonly port: number;
  /** Kills it, and resolves when it is gone. */
  kill(): Promise<void>;
}

export interface ProcessOptions {
  readonly cwd?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly stdio?: StdioOptions;
}

/**
 * Real processes, that are killed when the test is over, or all tests of the file are, together with those that they
 * started.
 */
export function useProcesses({ per = 'test' }: { per?: 'test' | 'file' } = {}) {
  import.meta.jest.setTimeout(TEST_TIMEOUT_MS);
  const children: ChildProcess[] = [];
  (per === 'test' ? afterEach : afterAll)(async () => {
    for (const child of children.splice(0)) {
      signalGroup(child, 'SIGKILL');
      if (child.exitCode !== null || child.signalCode !== null) continue;
      await once(child, 'exit');
    }
  });

  const start = (command: string, args: readonly string[], options: ProcessOptions = {}): Process => {
    const child = spawn(command, args, {
      env: { ...withoutSettings(process.env), ...options.environment },
      // A process group of its own, which can be killed as a whole.
      detached: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.stdio === undefined ? {} : { stdio: options.stdio }),
    });
    children.push(child);
    const stdout = collect(child.stdout);
    const stderr = collect(child.stderr);
    const ended = new Promise<number | NodeJS.Signals>((resolve) => {
      child.once('close', (code, signal) => {
        resolve(signal ?? code ?? -1);
      });
    });
    // Whether it reads what it is given is its own affair.
    child.stdin?.on('error', () => undefined);
    return {
      child,
      said: {
        get stdout() {
          return stdout().toString();
        },
        get stderr() {
          return stderr().toString();
        },
      },
      bytes: {
        get stdout() {
          return stdout();
        },
        get stderr() {
          return stderr();
        },
      },
      ended,
      isAlive: () => signalGroup(child, 0),
    };
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

/** What somebody may have set for programs of their own; each alone would change what an example shows. */
export const SETTINGS_OF_A_USER = {
  MEMBRANE_AUTO_REGISTER: 'false',
  MEMBRANE_COMMUNICATION_MODE: 'network',
  MEMBRANE_CONFIG: '/no/such/membrane.json',
  MEMBRANE_ID: 'mine',
  MEMBRANE_INSTANCE_ID: 'left',
  MEMBRANE_NAMESPACE: 'cellar',
  MEMBRANE_PARENT: 'attic',
  MEMBRANE_REGISTRY_PORT: 'none',
  MEMBRANE_REGISTRY_HEARTBEAT_INTERVAL: 'often',
  MEMBRANE_REGISTRY_URL: 'nowhere',
};

/** Settings of whoever runs the tests are none of theirs. */
export function withoutSettings(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !/^MEMBRANE_|^FORCE_COLOR$/.test(name)),
  );
}

function collect(stream: NodeJS.ReadableStream | null): () => Buffer {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks);
}

/** False where nobody is left in the group. */
function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals | 0): boolean {
  // Without a pid it never started.
  if (pid === undefined) return false;
  try {
    process.kill(-pid, signal);
    return true;
  } catch {
    return false;
  }
}
