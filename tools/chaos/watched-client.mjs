import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { endProcess, startNode } from './leftovers.mjs';

const PROGRAM = fileURLToPath(new URL('client-process.mjs', import.meta.url));

/** @typedef {{ name: string; detail?: string; atMs: number }} ClientEvent */

/** A client in a process of its own, as its parent sees it. */
export class WatchedClient {
  /** What it told, but heartbeats. @type {ClientEvent[]} */
  events = [];
  /** What a process should not do. @type {string[]} */
  faults = [];
  /** When a registration or a heartbeat of it was acknowledged. @type {number[]} */
  #acknowledgedAtMs = [];
  #child;
  #isEnding = false;

  /** @param {{ registryUrl: string; id: string; intervalMs: number }} options */
  constructor({ registryUrl, id, intervalMs }) {
    this.id = id;
    this.#child = startNode(
      [PROGRAM, registryUrl, id, String(intervalMs)],
      ['ignore', 'inherit', 'pipe', 'ipc'],
    );
    this.#child.on('message', (message) => this.#note(/** @type {ClientEvent} */ (message)));
    this.#child.stderr?.on('data', (chunk) => this.faults.push(`printed ${String(chunk).trim()}`));
    this.#child.once('exit', (code, signal) => {
      if (!this.#isEnding) this.faults.push(`ended with ${signal ?? code}`);
    });
  }

  get pid() {
    return this.#child.pid ?? 0;
  }

  get isRunning() {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves when it told of its first registration. */
  async registered() {
    while (this.isRunning && this.#acknowledgedAtMs.length === 0) {
      await Promise.race([once(this.#child, 'message'), once(this.#child, 'exit')]);
    }
    if (!this.isRunning) throw new Error(`${this.id} ${this.faults.join('; ')}`);
  }

  /** @param {string} name */
  told(name) {
    return this.events.find((event) => event.name === name);
  }

  /**
   * The first acknowledgement at this time or later.
   * @param {number} sinceMs
   */
  acknowledgedSince(sinceMs) {
    return this.#acknowledgedAtMs.find((atMs) => atMs >= sinceMs);
  }

  suspend() {
    this.#child.kill('SIGSTOP');
  }

  resume() {
    this.#child.kill('SIGCONT');
  }

  async kill() {
    this.#isEnding = true;
    await endProcess(this.#child, 'SIGKILL');
  }

  /** @param {ClientEvent} event */
  #note(event) {
    if (event.name !== 'leaseRenewed') this.events.push(event);
    if (event.name === 'leaseRenewed' || event.name === 'registered') this.#acknowledgedAtMs.push(event.atMs);
  }
}
