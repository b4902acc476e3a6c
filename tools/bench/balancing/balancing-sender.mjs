// Who asks several instances: node balancing-sender.mjs URL ID. Does what its parent process asks for.
import { setTimeout as sleep } from 'node:timers/promises';
import { createNamespaceClient } from '@membrane/client';
import { answerParent } from '../process/answer-parent.mjs';

const [registryUrl = '', id = ''] = process.argv.slice(2);

/** One a strategy: what it learns of the instances is its own. @type {Map<string, import('@membrane/client').NamespaceClient>} */
const clients = new Map();

/** @param {string} strategy */
function clientOf(strategy) {
  const known = clients.get(strategy);
  if (known !== undefined) return known;
  const balancer = { strategy: /** @type {import('@membrane/client').StrategyName} */ (strategy) };
  const client = createNamespaceClient(`sender-${strategy}`, { registryUrl, modes: ['network'], balancer });
  clients.set(strategy, client);
  return client;
}

/** @param {string[]} names */
function countOf(names) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

/** @type {Record<string, (what: any) => Promise<unknown>>} */
const TASKS = {
  /** Requests at an even pace, whether earlier ones have been answered or not. */
  async load({ strategy, count, perSecond }) {
    const client = clientOf(strategy);
    const startMs = performance.now();
    /** @type {Promise<{ tookMs: number; instance: string }>[]} */
    const calls = [];
    for (let index = 0; index < count; index += 1) {
      const dueMs = startMs + (index * 1_000) / perSecond;
      if (dueMs > performance.now()) await sleep(dueMs - performance.now());
      const sentAtMs = performance.now();
      const call = client.request(`@any:${id}`, { dish: 'bread' }).then((instance) => ({
        tookMs: performance.now() - sentAtMs,
        instance: String(instance),
      }));
      // All of them are looked at in the end.
      call.catch(() => undefined);
      calls.push(call);
    }
    const answers = await Promise.all(calls);
    return {
      tookMs: answers.map(({ tookMs }) => tookMs),
      counts: countOf(answers.map(({ instance }) => instance)),
    };
  },
  /** Which instance each pick of a membrane gives; with `keys`, each for a key of its own. */
  async pick({ of, strategy, count, keys, useCache = true }) {
    const client = clientOf(strategy);
    await client.discover(of, { useCache });
    const names = [];
    for (let index = 0; index < count; index += 1) {
      const key = keys === true ? `customer-${index}` : undefined;
      names.push((await client.pick(of, { key }))?.instanceId ?? 'nobody');
    }
    return names;
  },
};

answerParent(TASKS);
process.send?.({ ready: true });
