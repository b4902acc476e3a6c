import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import type { RegistryPackage } from './load-registry.js';

const BIN = fileURLToPath(new URL('../bin/membrane.js', import.meta.url));

export interface ReadyRegistry {
  readonly url: string;
  readonly data: string;
  readonly pid: number;
}

/**
 * Starts a registry that outlives this process, and resolves when it serves.
 * @throws CommandError with what the registry said, where it could not start.
 */
export async function startDetached(
  registry: RegistryPackage,
  flags: Readonly<Record<string, unknown>>,
): Promise<ReadyRegistry> {
  const logFile = openLog(registry, flags);
  const log = openSync(logFile, 'a');
  const child = spawn(process.execPath, [BIN, 'registry', 'start', ...toArguments(registry, flags)], {
    detached: true,
    stdio: ['ignore', 'ignore', log, 'ipc'],
  });
  closeSync(log);
  return new Promise((resolve, reject) => {
    child.once('message', (ready) => {
      child.disconnect();
      child.unref();
      resolve(ready as ReadyRegistry);
    });
    child.once('exit', (code) => {
      const lines = readFileSync(logFile, 'utf8').trimEnd().split('\n');
      const reason = lines.at(-1)?.replace(/^membrane: /, '') ?? 'it said nothing';
      reject(new CommandError(reason, code ?? EXIT_CODES.failed));
    });
    child.once('error', (cause) => {
      reject(
        new CommandError(`the registry could not be started: ${cause.message}`, EXIT_CODES.failed, { cause }),
      );
    });
  });
}

/** The log stands beside the data; what keeps no data logs to the directory for temporary files. */
function openLog(
  { DEFAULT_REGISTRY_OPTIONS, MEMORY_DATA }: RegistryPackage,
  flags: Readonly<Record<string, unknown>>,
): string {
  const given = flags['data'] ?? process.env['MEMBRANE_REGISTRY_DATA'];
  const data = typeof given === 'string' && given !== '' ? given : DEFAULT_REGISTRY_OPTIONS.data;
  if (data === MEMORY_DATA) return join(tmpdir(), `membrane-registry-${process.pid}.log`);
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new CommandError(
      `the data directory ${data} cannot be made (${code}); choose another with --data`,
      EXIT_CODES.failed,
      {
        cause,
      },
    );
  }
  return join(data, 'registry.log');
}

function toArguments(
  { REGISTRY_SETTINGS }: RegistryPackage,
  flags: Readonly<Record<string, unknown>>,
): string[] {
  return REGISTRY_SETTINGS.flatMap(({ flag }) => {
    const value = flags[flag];
    // In one word, since a value may begin with a dash.
    return typeof value === 'boolean' || typeof value === 'string' ? [`--${flag}=${String(value)}`] : [];
  });
}
