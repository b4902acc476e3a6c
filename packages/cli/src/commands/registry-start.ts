import type { Argv, CommandBuilder, CommandModule } from 'yargs';
import { CommandError } from '../command-error.js';
import { startDetached } from '../detached-registry.js';
import { withoutFlags, type GlobalArguments } from '../global-options.js';
import { loadRegistry } from '../load-registry.js';
import type { Output } from '../output.js';

interface StartArguments extends GlobalArguments {
  detach: boolean;
  /** The settings of the registry package. */
  [flag: string]: unknown;
}

async function buildStart(parser: Argv<GlobalArguments>): Promise<Argv<{ detach: boolean }>> {
  const { REGISTRY_SETTINGS } = await loadRegistry();
  const settings = REGISTRY_SETTINGS.map(
    ({ flag, variable, description, type }) =>
      [flag, { type, description: `${description} (${variable})`, requiresArg: type === 'string' }] as const,
  );
  const bare = withoutFlags(parser, 'registry start', ['registry-url', 'namespace', 'id', 'timeout']);
  return bare
    .options(Object.fromEntries(settings))
    .options({
      detach: {
        type: 'boolean',
        default: false,
        description:
          'run in the background; the log goes to DATA/registry.log, and where nothing is kept to a new directory',
      },
    })
    .example('$0 registry start', 'on http://127.0.0.1:8765, until Ctrl-C')
    .example('$0 registry start --port 0 --data :memory:', 'on a free port, keeping nothing')
    .example('$0 registry start --detach', 'in the background, until `membrane registry stop`');
}

export function registryStartCommand(output: Output): CommandModule<GlobalArguments, StartArguments> {
  return {
    command: 'start',
    describe: 'start a registry',
    // yargs waits for a builder that returns a promise; its types do not know.
    builder: buildStart as unknown as CommandBuilder<GlobalArguments, StartArguments>,
    handler: async (args) => {
      const registry = await loadRegistry();
      const onReady = (ready: { url: string; data: string; pid: number }): void => {
        output.data(
          args.json
            ? JSON.stringify(ready)
            : `registry ready at ${ready.url}, data in ${ready.data}, pid ${ready.pid}`,
        );
        process.send?.(ready);
      };
      if (args.detach) {
        const { ready, temporaryLog } = await startDetached(registry, args);
        onReady(ready);
        if (temporaryLog !== undefined) output.say(`its log is ${temporaryLog}`);
        return;
      }
      const { exitCode, message } = await registry.runRegistry({
        flags: args,
        environment: process.env,
        log: process.stderr,
        onReady,
      });
      if (message !== undefined) throw new CommandError(message, exitCode);
    },
  };
}
