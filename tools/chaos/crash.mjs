// A registry on a real file is killed with SIGKILL in the middle of concurrent changes, again and again. After each
// restart: every acknowledged change is there, every unacknowledged one is there wholly or not at all, revisions do
// not go back, and the journal tells the same story as the state.
import { setTimeout as sleep } from 'node:timers/promises';
import { call } from './http.mjs';
import { endProcess, makeDirectory, removeDirectory } from './leftovers.mjs';
import { createRandom } from './random.mjs';
import { startRegistry } from './registry-process.mjs';

const WRITERS = 16;
const CHILDREN = 5;
const MAX_LIFE_MS = 250;
const PAGE = 10_000;
/** Nobody falls silent here. */
const INTERVAL_MS = 3_600_000;

/** @typedef {Map<string, number>} State  Version by id, of those that are there. */

/** One who changes a small tree of their own, one call after the other, until a call is not answered. */
class Writer {
  /** @type {State} what was acknowledged */
  state = new Map();
  /** @type {State | undefined} what it would be, had the call that was not answered been done */
  unknown;
  acknowledged = 0;
  lastRevision = 0;
  #version = 0;

  constructor(/** @type {string} */ name, /** @type {() => number} */ random) {
    this.name = name;
    this.random = random;
    this.token = `token-of-${name}`.padEnd(32, 'x');
  }

  async run(/** @type {string} */ url) {
    for (;;) {
      const { path, body, after } = this.#next();
      this.unknown = after;
      try {
        const { body: answer } = await call(url + path, { body });
        if (!answer.success) throw new Error(`refused: ${JSON.stringify(answer)}`);
        this.state = after;
        this.unknown = undefined;
        this.acknowledged += 1;
        this.lastRevision = Math.max(this.lastRevision, answer.revision);
      } catch (error) {
        if (error instanceof Error && error.message.startsWith('refused')) throw error;
        return;
      }
    }
  }

  /** A call, and the state that it leads to. */
  #next() {
    const id = this.random() < 0.3 ? this.name : `${this.name}-${Math.floor(this.random() * CHILDREN)}`;
    const after = new Map(this.state);
    if (this.state.has(id) && this.random() < 0.4) {
      const cascade = this.random() < 0.6;
      after.delete(id);
      if (cascade && id === this.name) after.clear();
      const body = { id, lease_token: this.token, children: cascade ? 'cascade' : 'keep' };
      return { path: '/deregister', body, after };
    }
    this.#version += 1;
    after.set(id, this.#version);
    const body = {
      id,
      parent: id === this.name ? null : this.name,
      endpoint: `/run/${id}`,
      communication_mode: 'ipc',
      metadata: { version: this.#version },
      heartbeat_interval_ms: INTERVAL_MS,
      // A child that a cascade removed may not come back under the same token.
      lease_token: id === this.name ? this.token : null,
    };
    return { path: '/register', body, after };
  }
}

/** @param {State} left @param {State} right */
function isEqual(left, right) {
  return left.size === right.size && [...left].every(([id, version]) => right.get(id) === version);
}

/**
 * @param {{ rounds: number; seed: number; onProgress: (line: string) => void }} options
 */
export async function crash({ rounds, seed, onProgress }) {
  const data = await makeDirectory();
  const random = createRandom(seed);
  const writers = Array.from({ length: WRITERS }, (_, index) => new Writer(`tree-${index}`, random));
  const report = {
    rounds: 0,
    seed,
    acknowledged: 0,
    unanswered: 0,
    doneThough: 0,
    violations: /** @type {string[]} */ ([]),
  };
  /** What the journal has told so far. @type {State} */
  const told = new Map();
  let logId = '';
  /** A run a start: `LOG-RUN`. */
  const runs = new Set();
  let revision = 0;

  let registry = await startRegistry({ data });
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const running = Promise.all(writers.map((writer) => writer.run(registry.url)));
      await sleep(random() * MAX_LIFE_MS);
      await endProcess(registry.child, 'SIGKILL');
      await running;
      registry = await startRegistry({ data });

      const list = await call(`${registry.url}/list`);
      const [name = '', now = '0'] = String(list.headers['x-membrane-revision'] ?? '').split(':');
      const log = name.slice(0, name.lastIndexOf('-'));
      const records = /** @type {{ id: string; metadata: { version: number } }[]} */ (list.body);
      const violation = (/** @type {string} */ text) => report.violations.push(`round ${round}: ${text}`);

      if (logId !== '' && log !== logId) violation(`the log ${logId} became ${log}`);
      logId = log;
      if (runs.has(name)) violation(`two starts are one run, ${name}`);
      runs.add(name);
      const acknowledged = Math.max(revision, ...writers.map((writer) => writer.lastRevision));
      if (Number(now) < acknowledged) violation(`revision ${now} is below the acknowledged ${acknowledged}`);

      for (const writer of writers) {
        const own = records.filter(({ id }) => id === writer.name || id.startsWith(`${writer.name}-`));
        /** @type {State} */
        const found = new Map(own.map(({ id, metadata }) => [id, metadata.version]));
        if (writer.unknown !== undefined) report.unanswered += 1;
        if (writer.unknown !== undefined && isEqual(found, writer.unknown)) report.doneThough += 1;
        else if (!isEqual(found, writer.state)) {
          violation(
            `${writer.name} is ${show(found)}; acknowledged was ${show(writer.state)}, on its way ${show(writer.unknown)}`,
          );
        }
        writer.state = found;
        writer.unknown = undefined;
      }

      for (let more = true; more;) {
        const { body: events } = await call(`${registry.url}/events?since=${revision}&limit=${PAGE}`);
        for (const { event, id, record, revision: at } of events) {
          if (at < revision) violation(`the journal goes from ${revision} back to ${at}`);
          revision = at;
          if (event === 'deregistered') told.delete(id);
          else told.set(id, record.metadata.version);
        }
        more = events.length === PAGE;
      }
      const state = new Map(records.map(({ id, metadata }) => [id, metadata.version]));
      if (!isEqual(told, state)) violation(`the journal tells ${show(told)}, the state is ${show(state)}`);

      report.rounds = round;
      if (round % 10 === 0)
        onProgress(`${round} kills, ${report.violations.length} violations, revision ${now}`);
    }
  } finally {
    await endProcess(registry.child, 'SIGKILL');
    removeDirectory(data);
  }
  report.acknowledged = writers.reduce((sum, writer) => sum + writer.acknowledged, 0);
  return report;
}

/** @param {State | undefined} state */
function show(state) {
  return JSON.stringify(state === undefined ? null : Object.fromEntries(state));
}
