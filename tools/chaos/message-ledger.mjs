import { existsSync, readFileSync } from 'node:fs';

/** Examples that a violation names. */
const MAX_NAMED = 5;

/** @typedef {{ name: string; code: string }} DeadLetter */

/** What the logs of a soak tell: what was sent, what became of it, and whether that keeps the promises. */
export class MessageLedger {
  /** @type {string[]} */
  violations = [];
  /** Names of messages that somebody promised to deliver, or to tell about. @type {Set<string>} */
  #promised = new Set();
  /** @type {Map<string, string>} code by name */
  #dead = new Map();
  /** @type {Map<string, number>} runs of receivers that handled it, by name */
  #handled = new Map();
  #acknowledged = new Set();
  #totals = { sent: 0, retries: 0, repeats: 0, queued: 0, processed: 0 };
  /** @type {Record<string, number>} */
  #routes = {};

  /**
   * @param {string} id
   * @param {string} log
   * @param {boolean} isLossy whether what was not settled may be lost: the sender was killed
   */
  readSender(id, log, isLossy) {
    for (const [kind, number, ...words] of readLines(log)) {
      const name = `${id}.${number}`;
      if (kind === 'send') {
        this.#totals.sent += 1;
        if (!isLossy) this.#promised.add(name);
      } else if (kind === 'settled') {
        const [outcome, route, attempts] = words;
        this.#promised.add(name);
        this.#totals[outcome === 'queued' ? 'queued' : 'processed'] += 1;
        this.#totals.retries += Number(attempts) - 1;
        this.#routes[route] = (this.#routes[route] ?? 0) + 1;
        if (outcome === 'processed') this.#acknowledged.add(name);
      } else if (kind === 'dead') {
        this.#dead.set(name, words[0]);
      }
    }
  }

  /** Messages that an outbox had when its process was killed. @param {Iterable<string>} names */
  notePromised(names) {
    for (const name of names) this.#promised.add(name);
  }

  /** @param {readonly DeadLetter[]} letters */
  noteDeadLetters(letters) {
    for (const { name, code } of letters) this.#dead.set(name, code);
  }

  /**
   * The log of one run of a receiver: each message once, unless its handler failed, and each stream in its order.
   * @param {string} run how to call it
   * @param {string} log
   */
  readReceiver(run, log) {
    const ended = new Set();
    const open = new Set();
    /** @type {Map<string, number>} */
    const places = new Map();
    for (const [kind, name, stream, place] of readLines(log)) {
      if (kind === 'begin') {
        if (ended.has(name)) this.#violate(`${run} handled ${name} twice`);
        if (open.has(name)) this.#violate(`${run} was given ${name} while it handled it`);
        open.add(name);
        if (stream.endsWith(':')) continue;
        const last = places.get(stream) ?? 0;
        if (Number(place) < last) this.#violate(`${run} handled ${place} of ${stream} after ${last}`);
        places.set(stream, Math.max(last, Number(place)));
      } else {
        open.delete(name);
        if (kind === 'end') ended.add(name);
      }
    }
    for (const name of ended) {
      const runs = (this.#handled.get(name) ?? 0) + 1;
      this.#handled.set(name, runs);
      if (runs > 1) this.#totals.repeats += 1;
    }
  }

  /** Names of messages that are neither handled nor told to be dead. */
  get missing() {
    return [...this.#promised].filter((name) => !this.#handled.has(name) && !this.#dead.has(name));
  }

  summarize() {
    const lied = [...this.#acknowledged].filter((name) => !this.#handled.has(name));
    if (lied.length > 0) this.#violate(`told to be processed, and not handled: ${few(lied)}`);
    if (this.missing.length > 0) this.#violate(`neither handled nor dead letters: ${few(this.missing)}`);
    /** @type {Record<string, number>} */
    const deadLetters = {};
    for (const [name, code] of this.#dead) {
      if (!this.#handled.has(name)) deadLetters[code] = (deadLetters[code] ?? 0) + 1;
    }
    return {
      sent: this.#totals.sent,
      /** As senders were told. */
      told: { processed: this.#totals.processed, queued: this.#totals.queued },
      handled: this.#handled.size,
      deadLetters,
      /** Told to be dead, and handled nevertheless: the answer was too late, or lost. */
      handledAndDead: [...this.#dead.keys()].filter((name) => this.#handled.has(name)).length,
      /** Handled again by a receiver that was started anew. */
      repeats: this.#totals.repeats,
      /** Tries after the first, of messages that were delivered. */
      retries: this.#totals.retries,
      routes: this.#routes,
      /** Their sender was killed before they were kept. */
      unkept: this.#totals.sent - this.#promised.size,
      violations: this.violations,
    };
  }

  #violate(/** @type {string} */ text) {
    this.violations.push(text);
  }
}

/** @param {string} path */
function readLines(path) {
  if (!existsSync(path)) return [];
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split(' '));
}

/** @param {readonly string[]} names */
function few(names) {
  const more = names.length - MAX_NAMED;
  return names.slice(0, MAX_NAMED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
