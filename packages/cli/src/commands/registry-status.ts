import type { CommandModule } from 'yargs';
import { openClient, type GlobalArguments } from '../global-options.js';
import { formatAge, hideCredentials, toPrintable, type Output } from '../output.js';

export function registryStatusCommand(output: Output): CommandModule<GlobalArguments, GlobalArguments> {
  return {
    command: 'status',
    describe: 'what a registry is and holds',
    builder: (parser) => parser.example('$0 registry status', 'of the registry on this machine'),
    handler: async (args) => {
      const client = await openClient(args);
      try {
        const status = await client.registry.status();
        if (args.json) {
          const { toWire } = await import('@membrane/protocol');
          output.data(JSON.stringify(toWire<unknown>(status)));
          return;
        }
        const { counts, store, healthChecks: checks } = status;
        const place = store.location === null ? '' : ` at ${toPrintable(store.location)}`;
        const lines: [string, string][] = [
          ['registry', `${toPrintable(status.registryId)} (version ${status.version})`],
          ['url', hideCredentials(client.registry.url)],
          ['up', formatAge(status.uptime)],
          [
            'membranes',
            `${status.membraneCount}: ${counts.active} active, ${counts.unhealthy} unhealthy, ${counts.draining} draining`,
          ],
          ...(checks === undefined
            ? []
            : [
                [
                  'checks',
                  `${checks.checked} probed, ${checks.failing} failing; ${checks.refused} refused`,
                ] as [string, string],
              ]),
          ['namespaces', Object.keys(status.namespaces).join(', ') || '-'],
          ['revision', String(status.revision)],
          ['store', `${store.kind}${place}${store.writable ? '' : ': CANNOT WRITE, changes are refused'}`],
          ...(status.recovering
            ? [['state', 'recovering: leases run the first term after a restart'] as [string, string]]
            : []),
        ];
        for (const [name, value] of lines) output.data(`${`${name}:`.padEnd(12)}${value}`);
      } finally {
        await client.close();
      }
    },
  };
}
