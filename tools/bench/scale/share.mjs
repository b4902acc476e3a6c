import { idOf, isWorker, LEASE_TOKEN } from './population.mjs';

const BATCH = 1_000;

/** The membranes that one process plays: those of a range of numbers, each in its present generation. */
export class Share {
  /** @type {(Buffer | undefined)[]} kept until one of the batch is replaced */
  #bodies;
  #generations;
  /** @type {Set<number>} who are being replaced: nobody renews them */
  #absent = new Set();

  /** @param {number} first @param {number} end the first number beyond */
  constructor(first, end) {
    this.first = first;
    this.end = end;
    this.#generations = new Uint32Array(end - first);
    this.#bodies = Array.from({ length: Math.ceil((end - first) / BATCH) });
  }

  get batches() {
    return this.#bodies.length;
  }

  /** The body of a request that renews a thousand of them. @param {number} index of the batch */
  heartbeats(index) {
    const known = this.#bodies[index];
    if (known !== undefined) return known;
    const first = this.first + index * BATCH;
    const heartbeats = [];
    for (let number = first; number < Math.min(first + BATCH, this.end); number += 1) {
      if (!this.#absent.has(number)) heartbeats.push({ id: this.idOf(number) });
    }
    const body = Buffer.from(JSON.stringify({ lease_token: LEASE_TOKEN, heartbeats }));
    this.#bodies[index] = body;
    return body;
  }

  /** @param {number} number */
  idOf(number) {
    return idOf(number, this.generationOf(number));
  }

  /** @param {number} number */
  generationOf(number) {
    return this.#generations[number - this.first] ?? 0;
  }

  /** A membrane is no longer renewed. @param {number} number */
  leave(number) {
    this.#absent.add(number);
    this.#change(number);
  }

  /** Its next generation is there, and renewed from now on. @param {number} number */
  join(number) {
    this.#absent.delete(number);
    this.#generations[number - this.first] = this.generationOf(number) + 1;
    this.#change(number);
  }

  /** @param {number} number */
  #change(number) {
    this.#bodies[Math.floor((number - this.first) / BATCH)] = undefined;
  }

  /** A worker, by chance. */
  pick() {
    for (;;) {
      const number = this.first + Math.floor(Math.random() * (this.end - this.first));
      if (isWorker(number) && !this.#absent.has(number)) return number;
    }
  }
}
