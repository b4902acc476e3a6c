import { cp } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { endProcess, makeDirectory, removeDirectory } from './leftovers.mjs';
import { pick } from './random.mjs';
import { findFreePort, startRegistry } from './registry-process.mjs';

/** What can happen to a registry. */
export const FAULTS = /** @type {const} */ (['killed', 'stopped', 'suspended', 'emptied', 'rolledBack']);

/** Besides the time that it takes to start. */
const MIN_AWAY_MS = 100;

const MAX_COPIES = 5;

/** @typedef {typeof FAULTS[number]} FaultKind */

/**
 * @typedef {object} Return
 * @property {number} backAtMs when it serves again
 * @property {number} heardFromMs what is acknowledged from here on, it acknowledged after it came back
 * @property {boolean} keepsLeases false where it forgot what happened lately
 */

/** A registry on a file and a fixed port, that goes away in bad ways and comes back. */
export class TroubledRegistry {
  #random;
  #maxAwayMs;
  #onAnswered;
  #port = 0;
  #data = '';
  /** Copies of its data, as they were at different times. @type {string[]} */
  #copies = [];
  /** @type {import('./registry-process.mjs').RegistryProcess | undefined} */
  #process;

  /**
   * @param {object} options
   * @param {() => number} options.random
   * @param {number} options.maxAwayMs how long it is away at most; mostly it is much shorter
   * @param {(atMs: number, path: string) => void} [options.onAnswered]
   */
  constructor({ random, maxAwayMs, onAnswered }) {
    this.#random = random;
    this.#maxAwayMs = maxAwayMs;
    this.#onAnswered = onAnswered;
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start() {
    this.#port = await findFreePort();
    this.#data = await makeDirectory();
    await this.#launch();
  }

  async close() {
    await this.#end('SIGKILL');
    for (const directory of [this.#data, ...this.#copies]) removeDirectory(directory);
  }

  /** @returns {Promise<Return>} */
  async killed() {
    await this.#end('SIGKILL');
    return this.#comeBack();
  }

  /** @returns {Promise<Return>} */
  async stopped() {
    await this.#end('SIGTERM');
    return this.#comeBack();
  }

  /** @returns {Promise<Return>} */
  async suspended() {
    this.#process?.child.kill('SIGSTOP');
    await this.#stayAway();
    const backAtMs = Date.now();
    this.#process?.child.kill('SIGCONT');
    return { backAtMs, heardFromMs: backAtMs, keepsLeases: true };
  }

  /** @returns {Promise<Return>} */
  async emptied() {
    await this.#end(pick(['SIGKILL', 'SIGTERM'], this.#random));
    return this.#comeBackOn(await makeDirectory());
  }

  /** @returns {Promise<Return>} */
  async rolledBack() {
    await this.#end(pick(['SIGKILL', 'SIGTERM'], this.#random));
    const directory = await makeDirectory();
    const copy = pick(this.#copies, this.#random) ?? this.#data;
    await cp(copy, directory, { recursive: true });
    return this.#comeBackOn(directory);
  }

  async #comeBack() {
    const copy = await makeDirectory();
    await cp(this.#data, copy, { recursive: true });
    this.#copies.push(copy);
    // The first one stays: it differs most from what is now.
    if (this.#copies.length > MAX_COPIES) removeDirectory(this.#copies.splice(1, 1)[0]);
    await this.#stayAway();
    return { ...(await this.#launch()), keepsLeases: true };
  }

  /** @param {string} directory */
  async #comeBackOn(directory) {
    removeDirectory(this.#data);
    this.#data = directory;
    await this.#stayAway();
    return { ...(await this.#launch()), keepsLeases: false };
  }

  #stayAway() {
    return sleep(MIN_AWAY_MS + this.#random() ** 2 * (this.#maxAwayMs - MIN_AWAY_MS));
  }

  async #launch() {
    const heardFromMs = Date.now();
    this.#process = await startRegistry({ data: this.#data, port: this.#port, onAnswered: this.#onAnswered });
    return { backAtMs: this.#process.readyAtMs, heardFromMs };
  }

  /** @param {'SIGKILL' | 'SIGTERM'} signal */
  async #end(signal) {
    if (this.#process !== undefined) await endProcess(this.#process.child, signal);
  }
}
