import { spawn } from 'node:child_process';
import { closeSync, createReadStream, fstatSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';
import type { RegistryPackage } from './load-registry.js';

const BIN = fileURLToPath(new URL('../bin/membrane.js', import.meta.url));

const LOG_FILE = 'registry.log';

/** Before the words by which `membrane` ends. */
const REASON_PREFIX = 'membrane: ';

export interface ReadyRegistry {
  readonly url: string;
  readonly data: string;
  readonly pid: number;
}

interface Log {
  readonly file: string;
  /** True where its directory was made for it alone. */
  readonly isTemporary: boolean;
}

/**
 * Starts a registry that outlives this process, and resolves when it serves, with the log where that is not beside the
 * data.
 * @throws CommandError with what the registry said, where it could not start.
 */
export async function startDetached(
  registry: RegistryPackage,
  flags: Readonly<Record<string, unknown>>,
): Promise<{ ready: ReadyRegistry; temporaryLog: string | undefined }> {
  const log = prepareLog(registry, flags);
  const descriptor = openSync(log.file, 'a');
  const { size } = fstatSync(descriptor);
  const child = spawn(process.execPath, [BIN, 'registry', 'start', ...toArguments(registry, flags)], {
    detached: true,
    stdio: ['ignore', 'ignore', descriptor, 'ipc'],
  });
  closeSync(descriptor);
  return new Promise((resolve, reject) => {
    child.once('message', (ready) => {
      child.disconnect();
      child.unref();
      resolve({ ready: ready as ReadyRegistry, temporaryLog: log.isTemporary ? log.file : undefined });
    });
    child.once('exit', (code, signal) => {
      explainEnd(log, size, { code, signal }).then(reject, reject);
    });
    child.once('error', (cause) => {
      reject(
        new CommandError(`the registry could not be started: ${cause.message}`, EXIT_CODES.failed, { cause }),
      );
    });
  });
}

/** What it said itself, in the part of the log that is its own; without that, how it ended and where its log is. */
async function explainEnd(
  log: Log,
  start: number,
  { code, signal }: { code: number | null; signal: NodeJS.Signals | null },
): Promise<CommandError> {
  const lines = (await text(createReadStream(log.file, { start }))).split('\n');
  const reason = lines.findLast((line) => line.startsWith(REASON_PREFIX));
  if (reason === undefined) {
    const end = signal ?? `exit code ${code}`;
    return new CommandError(
      `the registry ended by ${end} before it served; its log is ${log.file}`,
      EXIT_CODES.failed,
    );
  }
  if (log.isTemporary) rmSync(dirname(log.file), { recursive: true, force: true });
  return new CommandError(reason.slice(REASON_PREFIX.length), code || EXIT_CODES.failed);
}

/** The log stands beside the data; what keeps no data logs to a directory of its own among the temporary ones. */
function prepareLog(
  { DEFAULT_REGISTRY_OPTIONS, MEMORY_DATA }: RegistryPackage,
  flags: Readonly<Record<string, unknown>>,
): Log {
  const given = flags['data'] ?? process.env['MEMBRANE_REGISTRY_DATA'];
  const data = typeof given === 'string' && given !== '' ? given : DEFAULT_REGISTRY_OPTIONS.data;
  if (data === MEMORY_DATA) {
    // Of a name that nobody can guess, and for this user alone.
    const directory = mkdtempSync(join(tmpdir(), 'membrane-registry-'));
    return { file: join(directory, LOG_FILE), isTemporary: true };
  }
  try {
    mkdirSync(data, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new CommandError(
      `the data directory ${data} cannot be made (${code}); choose another with --data`,
      EXIT_CODES.failed,
      { cause },
    );
  }
  return { file: join(data, LOG_FILE), isTemporary: false };
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
