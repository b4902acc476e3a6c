import { LOAD_GENERATOR, measureRate } from '../load/http-rate.mjs';
import { median, quantile } from '../report/report.mjs';
import { residentBytes } from '../process/server-process.mjs';
import { CHANGES_PER_SECOND, WatchedServer, WATCHERS } from './watched-server.mjs';
import { CHANGING, WATCH_SUBJECTS } from './watch-subjects.mjs';

const HEARTBEAT_CONNECTIONS = 32;
const KIB = 1024;

/**
 * How fast a change reaches a thousand watchers, beside etcd, and what they cost.
 * @param {{ directory: string; short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function measureFanOut({ directory, short, onProgress }) {
  const rounds = short ? 1 : 5;
  const extent = { seconds: short ? 5 : 10, onProgress };
  onProgress(`heartbeats beside the watchers: load by ${LOAD_GENERATOR}`);
  const registry = await WatchedServer.start('registry', directory);
  const lackEtcd = (/** @type {Error} */ error) => {
    onProgress(`not measured: etcd (Debian: etcd-server): ${error.message}`);
    return undefined;
  };
  let etcd = await WatchedServer.start('etcd', directory).catch(lackEtcd);
  /** @type {Record<'quiet' | 'busy' | 'etcd', number[][]>} */
  const latencies = { quiet: [], busy: [], etcd: [] };
  /** @type {Record<'with' | 'without', number[]>} */
  const rates = { with: [], without: [] };
  const beat = () =>
    measureRate({
      url: registry.server.url,
      kind: 'heartbeat',
      count: CHANGING,
      connections: HEARTBEAT_CONNECTIONS,
      seconds: extent.seconds,
    });
  let watcherBytes = Number.NaN;
  try {
    for (let round = 1; round <= rounds; round += 1) {
      onProgress(`round ${round} of ${rounds}: the registry`);
      const changing = registry.change({ count: extent.seconds * CHANGES_PER_SECOND });
      rates.without.push((await Promise.all([beat(), changing]))[0]);
      const beforeBytes = round === 1 ? await bytesOf(registry) : 0;
      await registry.open();
      // What the first watchers left behind is used again by those of later rounds.
      if (round === 1) watcherBytes = ((await bytesOf(registry)) - beforeBytes) / WATCHERS;
      latencies.quiet.push(await registry.hear(extent));
      const [rate, heardBusy] = await Promise.all([beat(), registry.hear(extent)]);
      rates.with.push(rate);
      latencies.busy.push(heardBusy);
      await registry.close();
      if (etcd === undefined) continue;
      onProgress(`round ${round} of ${rounds}: ${etcd.subject.name}`);
      // It may not be up to so many watchers.
      const heard = await hearOnce(etcd, extent).catch(lackEtcd);
      if (heard !== undefined) latencies.etcd.push(heard);
      if (heard !== undefined) continue;
      await etcd.stop();
      etcd = undefined;
    }
  } finally {
    await Promise.all([registry.stop(), etcd?.stop()]);
  }
  return toFigures(latencies, rates, watcherBytes);
}

/** @param {WatchedServer} watched @param {import('./watched-server.mjs').Extent} extent */
async function hearOnce(watched, extent) {
  await watched.open();
  const heard = await watched.hear(extent);
  await watched.close();
  return heard;
}

/** @param {WatchedServer} registry */
function bytesOf({ server }) {
  return residentBytes(/** @type {import('../process/server-process.mjs').Server} */ (server));
}

/**
 * @param {Record<'quiet' | 'busy' | 'etcd', number[][]>} latencies by round
 * @param {Record<'with' | 'without', number[]>} rates by round
 * @param {number} watcherBytes
 * @returns {import('../report/report.mjs').Figure[]}
 */
function toFigures(latencies, rates, watcherBytes) {
  const watchers = WATCHERS.toLocaleString('en-US');
  const valuesAt = (/** @type {keyof typeof latencies} */ name, /** @type {number} */ part) =>
    latencies[name].map((round) => quantile(round, part));
  const figureAt = (/** @type {keyof typeof latencies} */ name, /** @type {number} */ part) => {
    const samples = valuesAt(name, part);
    return { value: median(samples), unit: 'ms', samples };
  };
  const sent = `change sent to last of ${watchers} watchers`;
  const beside = (/** @type {number} */ part) => {
    const referenceSamples = valuesAt('etcd', part);
    if (referenceSamples.length === 0) return {};
    const reference = median(referenceSamples);
    return { reference, referenceName: WATCH_SUBJECTS.etcd.name, referenceSamples };
  };
  const missing = latencies.etcd.length === 0 ? ' (no reference)' : '';
  return [
    { what: `${sent}, p50`, ...figureAt('quiet', 0.5), ...beside(0.5), target: '' },
    { what: `${sent}, p99`, ...figureAt('quiet', 0.99), ...beside(0.99), target: `at most 150 ms${missing}` },
    { what: '... under as many heartbeats as it takes, p99', ...figureAt('busy', 0.99), target: '' },
    {
      what: `heartbeat, ${HEARTBEAT_CONNECTIONS} connections, ${watchers} watchers`,
      value: median(rates.with),
      unit: '/s',
      samples: rates.with,
      reference: median(rates.without),
      referenceName: 'without watchers',
      referenceSamples: rates.without,
      target: '0.50 or better',
    },
    { what: 'memory a watcher', value: watcherBytes / KIB, unit: 'KiB', target: '' },
  ];
}
