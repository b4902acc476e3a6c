import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { useProcesses, type Process, type ProcessOptions, type RegistryProcess } from './processes.js';
import { useTemporaryDirectories } from './temporary-directory.js';

export const BIN = fileURLToPath(new URL('../../bin/membrane.js', import.meta.url));

/** Nothing listens there. */
export const NOBODY = 'http://127.0.0.1:9';

export interface Run {
  readonly code: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A user of the command, with a home directory of their own. */
export interface User {
  readonly stateDirectory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Runs `membrane` to its end. */
  readonly membrane: (args: readonly string[], options?: ProcessOptions) => Promise<Run>;
  /** Starts `membrane`. */
  readonly start: (args: readonly string[], options?: ProcessOptions) => Process;
}

/** Users, and registries; what they start is killed, and what they keep removed, when the test is over. */
export function useMembrane() {
  const { start, startRegistry } = useProcesses();
  const makeDirectory = useTemporaryDirectories();

  const createUser = async (
    registryUrl: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<User> => {
    const home = await makeDirectory();
    const stateDirectory = join(home, 'state');
    const environment = {
      HOME: home,
      XDG_STATE_HOME: stateDirectory,
      MEMBRANE_REGISTRY_URL: registryUrl,
      MEMBRANE_SHARED_ROOT: join(home, 'shared'),
      MEMBRANE_SOCKET_DIR: join(home, 'sockets'),
      ...settings,
    };
    const startMembrane = (args: readonly string[], options: ProcessOptions = {}): Process =>
      start(process.execPath, [BIN, ...args], {
        cwd: home,
        ...options,
        environment: { ...environment, ...options.environment },
      });
    return {
      stateDirectory,
      environment,
      start: startMembrane,
      membrane: async (args, options) => {
        const { child, ended, said } = startMembrane(args, options);
        child.stdin?.end();
        const code = await ended;
        return { code, stdout: said.stdout, stderr: said.stderr };
      },
    };
  };

  /** A registry, and a user who knows of it. */
  const begin = async (): Promise<User & { readonly registry: RegistryProcess }> => {
    const registry = await startRegistry();
    return { ...(await createUser(registry.url)), registry };
  };

  return { begin, createUser, makeDirectory, start, startRegistry };
}

/** What somebody finds who reads a failure: words, and no trace of the code. */
export function expectWords(stderr: string): void {
  expect(stderr).toMatch(/^membrane: \S/);
  expect(stderr).not.toMatch(/ {4}at |node:|Error:/);
}
