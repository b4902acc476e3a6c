import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { endProcess, startNode } from './leftovers.mjs';

/** A sender or a receiver, in a process that is killed and stopped, and comes back. */
export class MessageWorker {
  id;
  /** Messages that the sender began to send. */
  sent = 0;
  #settledBefore = 0;
  #settled = 0;
  /** True once it was registered. */
  isReady = false;
  isFinished = false;
  /** While it is being treated badly, nobody else does. */
  isAway = false;
  /** What a process should not do. @type {string[]} */
  faults = [];
  #program;
  #setting;
  /** How often it was started. */
  #runs = 0;
  /** @type {import('node:child_process').ChildProcess | undefined} */
  #child;
  #isEnding = false;

  /**
   * @param {'message-sender.mjs' | 'message-receiver.mjs'} program
   * @param {{ id: string }} setting what the program is told
   * @param {(run: number) => string} logOf the log of a run
   */
  constructor(program, setting, logOf) {
    this.id = setting.id;
    this.#program = fileURLToPath(new URL(program, import.meta.url));
    this.#setting = setting;
    this.logOf = logOf;
  }

  /** Those of which it learned what became of them. */
  get settled() {
    return this.#settledBefore + this.#settled;
  }

  /** One for each run, or the same one again. */
  get logs() {
    return [...new Set(Array.from({ length: this.#runs }, (_, run) => this.logOf(run)))];
  }

  start() {
    const setting = JSON.stringify({ ...this.#setting, log: this.logOf(this.#runs) });
    this.#runs += 1;
    const child = startNode([this.#program, setting], ['ignore', 'inherit', 'pipe', 'ipc']);
    this.#child = child;
    child.on('message', (/** @type {any} */ { name, sent, settled }) => {
      if (name === 'progress') {
        this.sent = sent;
        this.#settled = settled;
      }
      if (name === 'ready') this.isReady = true;
      if (name === 'finished') this.isFinished = true;
    });
    child.stderr?.on('data', (chunk) => this.faults.push(`${this.id} printed ${String(chunk).trim()}`));
    child.once('exit', (code, signal) => {
      if (!this.#isEnding) this.faults.push(`${this.id} ended with ${signal ?? code}`);
    });
  }

  async kill() {
    this.#isEnding = true;
    if (this.#child !== undefined) await endProcess(this.#child, 'SIGKILL');
    this.#isEnding = false;
    this.#settledBefore += this.#settled;
    this.#settled = 0;
  }

  /** @param {number} ms */
  async suspendFor(ms) {
    this.#child?.kill('SIGSTOP');
    await sleep(ms);
    this.#child?.kill('SIGCONT');
  }

  /**
   * What became a dead letter at it since it was last asked.
   * @returns {Promise<{ name: string; code: string }[]>}
   */
  async takeDeadLetters() {
    this.#child?.send('deadLetters');
    for (;;) {
      const [news] = await once(
        /** @type {import('node:child_process').ChildProcess} */ (this.#child),
        'message',
      );
      if (news.name === 'deadLetters') return news.letters;
    }
  }
}
