import { call } from './http.mjs';

const TIMEOUT_MS = 2_000;

/** @typedef {{ id: string; status: string; incarnation: number; metadata: { pid: number } }} Listed */

/**
 * @typedef {object} Roll  Who is there, as the registry lists them.
 * @property {number} atMs
 * @property {string[]} missing ids that are not listed, or not active
 * @property {Map<string, number>} incarnations by id
 */

/** Asks a registry for all members, and compares with who should be there. */
export class RollCall {
  #url;
  #pids;
  #onViolation;

  /**
   * @param {string} url
   * @param {ReadonlyMap<string, number>} pids which process should be listed, by id
   * @param {(text: string) => void} onViolation
   */
  constructor(url, pids, onViolation) {
    this.#url = url;
    this.#pids = pids;
    this.#onViolation = onViolation;
  }

  /** @returns {Promise<Roll | undefined>} undefined where there is no answer */
  async take() {
    const listed = await this.#ask();
    if (listed === undefined) return undefined;
    /** @type {Map<string, Listed>} */
    const byId = new Map();
    for (const membrane of listed) {
      const { id, metadata } = membrane;
      if (byId.has(id)) this.#onViolation(`${id} is listed twice`);
      if (metadata.pid !== this.#pids.get(id))
        this.#onViolation(`${id} is held by process ${metadata.pid}, not ${this.#pids.get(id)}`);
      byId.set(id, membrane);
    }
    return {
      atMs: Date.now(),
      missing: [...this.#pids.keys()].filter((id) => byId.get(id)?.status !== 'active'),
      incarnations: new Map(listed.map(({ id, incarnation }) => [id, incarnation])),
    };
  }

  /** @returns {Promise<Listed[] | undefined>} */
  async #ask() {
    try {
      const { status, body } = await call(`${this.#url}/list`, { timeoutMs: TIMEOUT_MS });
      return status === 200 ? /** @type {Listed[]} */ (body) : undefined;
    } catch {
      return undefined;
    }
  }
}
