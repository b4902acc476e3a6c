import yargs from 'yargs';
import { REGISTRY_SETTINGS } from '../settings.js';
import { runRegistry } from '../run-registry.js';
import { VERSION } from '../version.js';

/** The service: `membrane-registry [options]`. Its log is its standard output. */
export async function main(args: readonly string[]): Promise<void> {
  const parser = yargs(args)
    .scriptName('membrane-registry')
    .usage('$0 [options]\n\nServes a namespace in which trees of processes find each other.')
    .options(
      Object.fromEntries(
        REGISTRY_SETTINGS.map(({ flag, variable, description, type }) => [
          flag,
          { type, description: `${description} (${variable})`, requiresArg: type === 'string' } as const,
        ]),
      ),
    )
    .example('$0 --data /var/lib/membrane', 'a registry on http://127.0.0.1:8765')
    .example('$0 --port 0 --data :memory:', 'on a free port, keeping nothing')
    .version(VERSION)
    .parserConfiguration({ 'duplicate-arguments-array': false, 'camel-case-expansion': false })
    .strict()
    .exitProcess(false)
    .wrap(Math.min(process.stdout.columns || 100, 100))
    .fail((message: string, error: Error | undefined) => {
      throw error ?? new Error(message);
    });
  let flags;
  try {
    flags = await parser.parseAsync();
  } catch (error) {
    fail(`${error instanceof Error ? error.message : String(error)}; see membrane-registry --help`, 2);
    return;
  }
  if (flags['help'] === true || flags['version'] === true) return;
  const doubt = findDoubt(args);
  if (doubt !== undefined) {
    fail(doubt, 2);
    return;
  }
  const { exitCode, message } = await runRegistry({ flags, environment: process.env, log: process.stdout });
  if (message !== undefined) fail(message, exitCode);
}

/** A switch that is neither on nor off: the parser takes whatever is not `true` for false. */
function findDoubt(args: readonly string[]): string | undefined {
  for (const { flag, type, expectation } of REGISTRY_SETTINGS) {
    if (type !== 'boolean') continue;
    const value = args.findLast((arg) => arg.startsWith(`--${flag}=`))?.slice(flag.length + 3);
    if (value === undefined || value === 'true' || value === 'false') continue;
    return `--${flag} ${expectation}; got "${value}"`;
  }
  return undefined;
}

function fail(message: string, exitCode: number): void {
  process.stderr.write(`membrane-registry: ${message}\n`);
  process.exitCode = exitCode;
}
