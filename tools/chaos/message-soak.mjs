import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepDirectory, makeDirectory, removeDirectory } from './leftovers.mjs';
import { MessageLedger } from './message-ledger.mjs';
import { MessageWorker } from './message-worker.mjs';
import { createBag, createRandom, pick } from './random.mjs';

const POLL_MS = 20;
/** Of a treatment. */
const MIN_AWAY_MS = 50;

/**
 * @typedef {object} SoakOptions
 * @property {import('./message-process.mjs').Mode} mode
 * @property {number} count messages
 * @property {number} seed
 * @property {string} registryUrl
 * @property {string} namespace of this soak alone
 * @property {number} senders
 * @property {number} outboxes so many of the senders have an outbox: those are killed too
 * @property {number} receivers
 * @property {number} windowSize messages that a sender has under way
 * @property {number} faults how often somebody is killed or stopped
 * @property {number} maxAwayMs
 * @property {number} timeoutMs of most messages
 * @property {number} drainMs how long it may take at the end until all is handled
 */

/** Sends messages between processes that are killed and stopped meanwhile, and compares what was sent with what came. */
export class MessageSoak {
  #options;
  #random;
  #directory = '';
  /** @type {MessageWorker[]} */
  #receivers = [];
  /** @type {MessageWorker[]} */
  #senders = [];
  /** @type {Record<string, number>} */
  #faults = {};
  /** What outboxes had when their senders were killed. @type {string[]} */
  #kept = [];

  /** @param {SoakOptions} options */
  constructor(options) {
    this.#options = options;
    this.#random = createRandom(options.seed);
  }

  async run() {
    const { mode, senders, outboxes } = this.#options;
    const startedAtMs = Date.now();
    this.#directory = await makeDirectory();
    this.#prepare();
    for (const receiver of this.#receivers) receiver.start();
    // Nobody can send to those who were never there.
    await this.#until(() => this.#receivers.every(({ isReady }) => isReady), Number.POSITIVE_INFINITY);
    for (const sender of this.#senders) sender.start();
    await this.#treatBadly();
    await this.#until(() => this.#senders.every(({ isFinished }) => isFinished), Number.POSITIVE_INFINITY);
    const sendingMs = Date.now() - startedAtMs;
    const ledger = await this.#settle();
    await Promise.all(this.#workers.map((worker) => worker.kill()));
    for (const { faults } of this.#workers) ledger.violations.push(...faults);
    const summary = ledger.summarize();
    if (summary.violations.length === 0) removeDirectory(this.#directory);
    else keepDirectory(this.#directory);
    return {
      mode,
      senders,
      outboxes,
      faults: this.#faults,
      seconds: Math.round((Date.now() - startedAtMs) / 100) / 10,
      messagesPerSecond: Math.round((this.#options.count / sendingMs) * 1_000),
      ...summary,
      /** Of the processes, where something is wrong. */
      logs: summary.violations.length === 0 ? undefined : this.#directory,
    };
  }

  get progress() {
    return `${this.#sum('sent')} sent, ${Object.values(this.#faults).reduce((sum, count) => sum + count, 0)} faults`;
  }

  get #workers() {
    return [...this.#receivers, ...this.#senders];
  }

  #sum(/** @type {'sent' | 'settled'} */ what) {
    return this.#senders.reduce((sum, sender) => sum + sender[what], 0);
  }

  #prepare() {
    const { mode, registryUrl, namespace, windowSize, timeoutMs, seed, count } = this.#options;
    const directory = this.#directory;
    const common = { mode, registryUrl, namespace, directory };
    const targets = Array.from({ length: this.#options.receivers }, (_, index) => `receiver-${index}`);
    this.#receivers = targets.map(
      (id) =>
        new MessageWorker('message-receiver.mjs', { ...common, id }, (run) =>
          join(directory, `${id}.${run}.log`),
        ),
    );
    const { senders, outboxes } = this.#options;
    this.#senders = Array.from({ length: senders }, (_, index) => {
      const id = `sender-${index}`;
      const setting = {
        ...common,
        id,
        targets,
        windowSize,
        timeoutMs,
        seed: seed + index,
        count: Math.floor((count + index) / senders),
        ...(index < outboxes ? { outbox: this.#outboxOf(id) } : {}),
      };
      return new MessageWorker('message-sender.mjs', setting, () => join(directory, `${id}.log`));
    });
  }

  #outboxOf(/** @type {string} */ id) {
    return join(this.#directory, `outbox-${id}`);
  }

  /** One fault after each part of the messages. */
  async #treatBadly() {
    const { outboxes, count, faults } = this.#options;
    const kinds =
      outboxes > 0
        ? ['receiverKilled', 'senderKilled', 'receiverStopped', 'senderStopped']
        : ['receiverKilled', 'receiverStopped'];
    const draw = createBag(kinds, this.#random);
    /** @type {Promise<void>[]} */
    const treatments = [];
    for (let fault = 1; fault <= faults; fault += 1) {
      const isDue = () => this.#sum('settled') >= (count * fault) / (faults + 1);
      await this.#until(
        () => isDue() || this.#senders.every(({ isFinished }) => isFinished),
        Number.POSITIVE_INFINITY,
      );
      treatments.push(this.#treat(draw()));
    }
    await Promise.all(treatments);
  }

  async #treat(/** @type {string} */ kind) {
    const { maxAwayMs } = this.#options;
    const mortals = this.#senders.slice(0, this.#options.outboxes);
    const all = kind.startsWith('receiver') ? this.#receivers : mortals;
    await this.#until(() => all.some(({ isAway }) => !isAway), Number.POSITIVE_INFINITY);
    const worker = pick(
      all.filter(({ isAway }) => !isAway),
      this.#random,
    );
    const awayMs = MIN_AWAY_MS + this.#random() ** 2 * (maxAwayMs - MIN_AWAY_MS);
    this.#faults[kind] = (this.#faults[kind] ?? 0) + 1;
    worker.isAway = true;
    if (kind.endsWith('Stopped')) await worker.suspendFor(awayMs);
    else {
      worker.isFinished = false;
      await worker.kill();
      if (kind === 'senderKilled') this.#kept.push(...this.#namesIn(worker.id));
      await sleep(awayMs);
      worker.start();
    }
    worker.isAway = false;
  }

  /** Names of the messages in an outbox. */
  #namesIn(/** @type {string} */ id) {
    const directory = join(this.#outboxOf(id), 'new');
    return readNames(directory).map((file) => {
      const { envelope } = JSON.parse(readFileSync(join(directory, file), 'utf8'));
      return `${envelope.sender}.${envelope.payload.number}`;
    });
  }

  /** Waits until all is handled or dead, and nothing more is found. */
  async #settle() {
    const { drainMs } = this.#options;
    const areOutboxesEmpty = () =>
      this.#senders.every(({ id }) => readNames(join(this.#outboxOf(id), 'new')).length === 0);
    const isEmpty = await this.#until(areOutboxesEmpty, drainMs);
    const letters = [];
    /** @type {MessageLedger} */
    let ledger;
    for (const endMs = Date.now() + drainMs; ; await sleep(POLL_MS * 5)) {
      const found = await Promise.all(this.#workers.map((worker) => worker.takeDeadLetters()));
      letters.push(...found.flat());
      ledger = this.#read(letters);
      if (ledger.missing.length === 0 || Date.now() > endMs) break;
    }
    if (!isEmpty) ledger.violations.push('an outbox was not emptied');
    return ledger;
  }

  /** @param {import('./message-ledger.mjs').DeadLetter[]} letters */
  #read(letters) {
    const ledger = new MessageLedger();
    this.#senders.forEach(({ id, logs }, index) => {
      for (const log of logs) ledger.readSender(id, log, index < this.#options.outboxes);
    });
    ledger.notePromised(this.#kept);
    ledger.noteDeadLetters(letters);
    for (const { id, logs } of this.#receivers) {
      logs.forEach((log, run) => ledger.readReceiver(`run ${run} of ${id}`, log));
    }
    return ledger;
  }

  /**
   * @param {() => boolean} isSo
   * @param {number} maxMs
   * @returns {Promise<boolean>} false where it did not come to be so in this time
   */
  async #until(isSo, maxMs) {
    for (const endMs = Date.now() + maxMs; !isSo(); await sleep(POLL_MS)) {
      if (Date.now() > endMs) return false;
      const [fault] = this.#workers.flatMap(({ faults }) => faults);
      if (fault !== undefined) throw new Error(fault);
    }
    return true;
  }
}

/** @param {string} directory */
function readNames(directory) {
  try {
    return readdirSync(directory).filter((name) => name.endsWith('.json'));
  } catch {
    return [];
  }
}
