import { Agent, request } from 'node:http';

/** Calls that may wait for their answer at a time: beyond, a registry is behind, and waiting longer tells nothing more. */
const MAX_WAITING = 2_000;

/** Of one kind of call. */
const MAX_CONNECTIONS = 64;

/** Calls of a registry, and what each took. */
export class Calls {
  /** @type {Record<string, Agent>} by the name of the call: none waits for a connection behind those of another kind */
  #agents = {};
  #waiting = 0;
  /** @type {Record<string, number[]>} by the name of the call, in milliseconds */
  #tookMs = {};
  #skipped = 0;

  /** @param {string} url of the registry */
  constructor(url) {
    this.url = url;
  }

  /** What happened since it was last asked. */
  collect() {
    const found = { tookMs: this.#tookMs, skipped: this.#skipped };
    this.#tookMs = {};
    this.#skipped = 0;
    return found;
  }

  /**
   * @param {string} name of what is measured
   * @param {string} path
   * @param {string | Buffer} [body] a GET without
   * @returns {Promise<{ status: number; text: string } | undefined>} undefined where too many wait already
   */
  async call(name, path, body) {
    if (this.#waiting >= MAX_WAITING) {
      this.#skipped += 1;
      return undefined;
    }
    this.#waiting += 1;
    const sentAtMs = performance.now();
    try {
      const answer = await this.#send(name, path, body);
      (this.#tookMs[name] ??= []).push(performance.now() - sentAtMs);
      return answer;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** @param {string} name @param {string} path @param {string | Buffer} [body] @returns {Promise<{ status: number; text: string }>} */
  #send(name, path, body) {
    const agent = (this.#agents[name] ??= new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS }));
    return new Promise((resolve, reject) => {
      const headers =
        body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const method = body === undefined ? 'GET' : 'POST';
      const sent = request(`${this.url}${path}`, { agent, method, headers }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}
