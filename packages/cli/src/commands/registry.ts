import type { CommandModule } from 'yargs';
import type { GlobalArguments } from '../global-options.js';
import type { Output } from '../output.js';
import { registryStartCommand } from './registry-start.js';
import { registryStatusCommand } from './registry-status.js';
import { registryStopCommand } from './registry-stop.js';

export function registryCommand(output: Output): CommandModule<GlobalArguments, GlobalArguments> {
  return {
    command: 'registry',
    describe: 'run a registry on this machine',
    builder: (parser) =>
      parser
        .command(registryStartCommand(output))
        .command(registryStopCommand(output))
        .command(registryStatusCommand(output))
        .demandCommand(1, 'registry needs a verb: start, stop or status')
        .example('$0 registry start', 'on http://127.0.0.1:8765, until Ctrl-C'),
    handler: () => undefined,
  };
}
