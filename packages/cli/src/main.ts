import { CommandError } from './command-error.js';
import { EXIT_CODES, exitCodeOf } from './exit-codes.js';
import { createOutput, hideCredentials, shorten } from './output.js';
import { STANDARD_INPUT } from './payload.js';
import { adviseOnSilence } from './silence.js';
import { readVersion } from './version.js';

/** Runs `membrane` with these arguments and resolves to its exit code. No failure escapes with a stack trace. */
export async function main(args: readonly string[]): Promise<number> {
  const output = createOutput(process.stdout, process.stderr, process.env);
  const exit = { code: EXIT_CODES.done as number };
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => {
    // The reader of a pipe may go before all is written: that is its right, and no failure.
    if (code === 'EPIPE') return;
    exit.code ||= EXIT_CODES.failed;
    // It may be told only when all is done.
    process.exitCode ||= EXIT_CODES.failed;
  });
  // Nobody listens any more to what is said; what is done goes on.
  process.stderr.on('error', () => undefined);
  try {
    if (args.length === 1 && args[0] === '--version') {
      output.data(readVersion());
      return exit.code;
    }
    // Only now: what is asked most often by scripts needs no parser.
    const { createCli } = await import('./create-cli.js');
    await createCli(nameStandardInput(args), output, exit).parseAsync();
    return exit.code;
  } catch (error) {
    const { message, exitCode } = describeFailure(error);
    output.say(`membrane: ${exitCode === EXIT_CODES.usage ? shortenValue(message) : message}`);
    return exitCode;
  }
}

/** The parser takes a lone dash for nothing. What `run` hands on stays as it is. */
function nameStandardInput(args: readonly string[]): readonly string[] {
  const end = args.indexOf('--');
  return args.map((arg, index) => (arg === '-' && (end === -1 || index < end) ? STANDARD_INPUT : arg));
}

function describeFailure(error: unknown): { message: string; exitCode: number } {
  if (error instanceof CommandError) return { message: error.message, exitCode: error.exitCode };
  if (error instanceof Error && error.name === 'MembraneError' && 'code' in error) {
    const code = String(error.code);
    const advice = code === 'registry_unreachable' ? `: ${adviseOnSilence(error)}` : '';
    return { message: `${error.message}${advice}`, exitCode: exitCodeOf(code) };
  }
  return { message: error instanceof Error ? error.message : String(error), exitCode: EXIT_CODES.failed };
}

/** The value that a message of wrong usage ends by may be any text. */
function shortenValue(message: string): string {
  // The other way round, a password would lose the @ by which it is known.
  return hideCredentials(message).replace(/(?<=; got ).+$/s, shorten);
}
