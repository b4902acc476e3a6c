import { createRandom, pick } from './random.mjs';

const STREAMS = ['bread', 'cake', 'pie'];
/** Parts of all messages. */
const IN_STREAM = 0.5;
const FAILING = 0.005;
const FAILING_ONCE = 0.01;
const HASTY = 0.01;
const LARGE = 0.02;
const LARGE_CHARACTERS = 20_000;
const MAX_HASTE_MS = 500;

/**
 * @typedef {object} PlannedMessage
 * @property {number} number counts the messages of the sender, from 1
 * @property {string} target
 * @property {string | undefined} stream
 * @property {number} place counts those to the target in that stream, from 1
 * @property {'never' | 'once' | 'always'} fails what the handler does
 * @property {number | undefined} timeoutMs shorter than the others', so that some do not arrive in time
 * @property {string} padding
 */

/** What a sender sends: the same in every run of its process. */
export class MessagePlan {
  #random;
  #targets;
  #number = 0;
  /** @type {Map<string, number>} */
  #places = new Map();

  /** @param {{ seed: number; targets: readonly string[] }} options */
  constructor({ seed, targets }) {
    this.#random = createRandom(seed);
    this.#targets = targets;
  }

  /** @returns {PlannedMessage} */
  next() {
    const random = this.#random;
    this.#number += 1;
    const target = pick(this.#targets, random);
    const stream = random() < IN_STREAM ? pick(STREAMS, random) : undefined;
    const conversation = `${target} ${stream}`;
    const place = (this.#places.get(conversation) ?? 0) + 1;
    this.#places.set(conversation, place);
    const chance = random();
    return {
      number: this.#number,
      target,
      stream,
      place,
      fails: chance < FAILING ? 'always' : chance < FAILING + FAILING_ONCE ? 'once' : 'never',
      timeoutMs:
        random() < HASTY && stream === undefined ? 1 + Math.floor(random() * MAX_HASTE_MS) : undefined,
      padding: random() < LARGE ? 'x'.repeat(LARGE_CHARACTERS) : '',
    };
  }
}
