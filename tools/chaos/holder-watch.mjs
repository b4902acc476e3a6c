import { call } from './http.mjs';

const POLL_MS = 100;
const TIMEOUT_MS = 2_000;

/** Who holds a name, asked ten times a second. */
export class HolderWatch {
  /** One after the other, each where it differs from the one before. @type {{ pid: number; incarnation: number }[]} */
  holders = [];
  /** Answers so far, of any kind. */
  looks = 0;
  /** False where the last answer was that nobody holds it. */
  isHeld = false;
  #url;
  #id;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;

  /** @param {string} url @param {string} id */
  constructor(url, id) {
    this.#url = url;
    this.#id = id;
  }

  start() {
    this.#timer = setInterval(() => void this.#look(), POLL_MS);
  }

  stop() {
    clearInterval(this.#timer);
  }

  /** The processes whose registrations the journal tells of, in their order. */
  async registrations() {
    const { body } = await this.#get(`/events?membrane=${this.#id}`);
    const events = /** @type {{ event: string; record: { metadata: { pid: number } } }[]} */ (body);
    return events.filter(({ event }) => event === 'registered').map(({ record }) => record.metadata.pid);
  }

  async #look() {
    try {
      const { status, body } = await this.#get(`/discover/${this.#id}`);
      if (status !== 200 && status !== 404) return;
      const { metadata, incarnation } = body;
      this.looks += 1;
      this.isHeld = status === 200;
      const last = this.holders.at(-1);
      if (this.isHeld && (last?.pid !== metadata.pid || last?.incarnation !== incarnation))
        this.holders.push({ pid: metadata.pid, incarnation });
    } catch {
      // A registry that is away says nothing of holders.
    }
  }

  /** @param {string} path */
  #get(path) {
    return call(this.#url + path, { timeoutMs: TIMEOUT_MS });
  }
}
