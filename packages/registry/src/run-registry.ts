import { isMembraneError } from '@membrane/protocol';
import { destination, pino, type DestinationStream } from 'pino';
import { avoidMarkingTasks } from './garbage-collection.js';
import { OperatorError } from './operator-error.js';
import { parseRegistryOptions, type LogLevel } from './options.js';
import { readRegistrySettings, type RegistryFlags } from './settings.js';
import { createRegistry } from './registry.js';

/** A signal must end the process within 5 s, whatever hangs. */
const EXIT_DEADLINE_MS = 4_800;

export interface RunRegistryOptions {
  /** Flags of the command line, by name. */
  flags: RegistryFlags;
  environment: Readonly<Record<string, string | undefined>>;
  /** Where the log goes: pretty on a terminal, else a JSON line an entry. */
  log: NodeJS.WriteStream & { fd: number };
  /** Told once every call is served. */
  onReady?(ready: { url: string; data: string; pid: number }): void;
}

/** How a run ended. The message is for the operator, one line. */
export interface RunResult {
  exitCode: 0 | 1 | 2;
  message?: string;
}

/** Runs a registry as a process of its own, until SIGTERM or SIGINT. Never rejects. */
export async function runRegistry(run: RunRegistryOptions): Promise<RunResult> {
  avoidMarkingTasks();
  try {
    const options = parseRegistryOptions(readRegistrySettings(run.flags, run.environment));
    const logger = pino(
      { level: options.logLevel, base: { pid: process.pid } },
      await openLog(run.log, options.logLevel),
    );
    const registry = createRegistry({ ...options, logger });
    const signalled = nextSignal();
    const started = registry.start();
    if ((await Promise.race([started, signalled])) !== 'signalled' && registry.url !== undefined) {
      run.onReady?.({ url: registry.url, data: options.data, pid: process.pid });
    }
    await signalled;
    const deadline = setTimeout(() => {
      logger.fatal('could not stop in time');
      process.exit(1);
    }, EXIT_DEADLINE_MS);
    await registry.stop();
    clearTimeout(deadline);
    return { exitCode: 0 };
  } catch (error) {
    if (isMembraneError(error)) return { exitCode: 2, message: error.message };
    if (error instanceof OperatorError) return { exitCode: 1, message: error.message };
    return {
      exitCode: 1,
      message: `the registry failed: ${error instanceof Error ? error.message : String(error)}`,
    };
  }
}

function nextSignal(): Promise<'signalled'> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        resolve('signalled');
      });
    }
  });
}

async function openLog(stream: RunRegistryOptions['log'], level: LogLevel): Promise<DestinationStream> {
  if (!stream.isTTY || level === 'silent') return destination({ fd: stream.fd, sync: true });
  const { default: pretty } = await import('pino-pretty');
  return pretty({ destination: stream.fd, sync: true, ignore: 'pid', colorize: !process.env['NO_COLOR'] });
}
