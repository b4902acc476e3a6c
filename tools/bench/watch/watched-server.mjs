import { join } from 'node:path';
import { writeChanges } from './change-writer.mjs';
import { LOAD_CORE } from '../process/cores.mjs';
import { stopServer } from '../process/server-process.mjs';
import { CHANGING, WATCH_SUBJECTS } from './watch-subjects.mjs';
import { ask, startWorker, stopWorker } from '../process/worker-process.mjs';

export const WATCHERS = 1_000;
export const CHANGES_PER_SECOND = 100;
/** So long the last change is waited for. */
const LATE_MS = 30_000;

/** @typedef {{ seconds: number; onProgress: (line: string) => void }} Extent */

/** One server, its watchers, and the changes it has had. */
export class WatchedServer {
  /**
   * @param {keyof typeof WATCH_SUBJECTS} name
   * @param {string} directory
   */
  static async start(name, directory) {
    const subject = WATCH_SUBJECTS[name];
    const server = await subject.start(join(directory, name));
    try {
      const { worker } = await startWorker(
        new URL('watchers.mjs', import.meta.url),
        [name, server.url],
        LOAD_CORE,
      );
      const watched = new WatchedServer(subject, server, worker);
      await watched.change({ count: CHANGING, perSecond: CHANGING });
      return watched;
    } catch (error) {
      await stopServer(server);
      throw error;
    }
  }

  /**
   * @param {import('./watch-subjects.mjs').WatchSubject} subject
   * @param {Pick<import('../process/server-process.mjs').Server, 'url' | 'child'>} server
   * @param {import('../process/worker-process.mjs').Worker} worker
   */
  constructor(subject, server, worker) {
    this.subject = subject;
    this.server = server;
    this.worker = worker;
    this.changes = 0;
  }

  async open() {
    await ask(this.worker, { what: 'open', count: WATCHERS });
  }

  async close() {
    await ask(this.worker, { what: 'close' });
  }

  /** @param {{ count: number; perSecond?: number }} pace */
  async change({ count, perSecond = CHANGES_PER_SECOND }) {
    const first = this.changes;
    this.changes += count;
    const { sentAtMs, errors } = await writeChanges(this.server.url, this.subject, {
      first,
      count,
      perSecond,
    });
    if (errors.length > 0 && !this.subject.mayRefuse) throw errors[0];
    return { sentAtMs, refused: errors.length };
  }

  /**
   * What each change took from its request being sent until the last watcher had it, in milliseconds.
   * @param {Extent} extent
   */
  async hear({ seconds, onProgress }) {
    const count = seconds * CHANGES_PER_SECOND;
    await ask(this.worker, { what: 'expect', first: this.changes, count });
    const { sentAtMs, refused } = await this.change({ count });
    /** @type {{ heardAtMs: number[]; missed: number }} */
    const { heardAtMs, missed } = await ask(this.worker, { what: 'collect', withinMs: LATE_MS });
    if (missed > 0) {
      const late = `${missed} of ${count} changes did not reach all within ${LATE_MS / 1_000} s`;
      onProgress(`${this.subject.name}: ${late}, ${refused} were refused; they count as heard then`);
    }
    return heardAtMs.map((atMs, index) => atMs - (sentAtMs[index] ?? 0));
  }

  async stop() {
    await stopWorker(this.worker);
    await stopServer(this.server);
  }
}
