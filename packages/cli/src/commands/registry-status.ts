import type { PreservedSubtree } from '@membrane/protocol';
import type { CommandModule } from 'yargs';
import { openClient, type GlobalArguments } from '../global-options.js';
import { formatAge, hideCredentials, toPrintable, type Output } from '../output.js';

/** Of what stands before a value. */
const WIDTH = 12;
/** Preserved subtrees that are shown; the largest come first. */
const MAX_SHOWN = 10;

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
        for (const [name, value] of lines) output.data(`${`${name}:`.padEnd(WIDTH)}${value}`);
        const preserved = describePreserved(status.preservation ?? []);
        for (const [index, line] of preserved.entries()) {
          output.data(`${(index === 0 ? 'preserved:' : '').padEnd(WIDTH)}${line}`);
        }
      } finally {
        await client.close();
      }
    },
  };
}

/** A line each, and what it means. */
function describePreserved(subtrees: readonly PreservedSubtree[]): string[] {
  if (subtrees.length === 0) return [];
  const lines = subtrees.slice(0, MAX_SHOWN).map(({ namespace, subtree, n, s, held, since }) => {
    const where = subtree === '' ? `all of ${namespace}` : `${subtree} in ${namespace}`;
    const when = new Date(since * 1_000).toISOString();
    return `${toPrintable(where)}: ${s} of ${n} silent, ${held} kept beyond their end, since ${when}`;
  });
  const others = subtrees.length - lines.length;
  if (others > 0) lines.push(`and ${others} more: see --json`);
  return [...lines, '(who is silent there is not removed before 15 heartbeat intervals)'];
}
