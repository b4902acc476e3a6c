import { Agent, request } from 'node:http';

// By node:http: a `fetch` of Node 20 whose server is killed at the wrong moment settles never, and Node ends meanwhile
// as if there were nothing left to do.
const agent = new Agent({ keepAlive: true });

/** @typedef {{ status: number; headers: import('node:http').IncomingHttpHeaders; body: any }} Answer */

/**
 * Sends a request, as JSON where it has a body, and reads the JSON of the answer. Rejects where it is not answered.
 * @param {string} url
 * @param {{ body?: object; timeoutMs?: number }} [options]
 * @returns {Promise<Answer>}
 */
export function call(url, { body, timeoutMs = 30_000 } = {}) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const sent = request(url, {
      agent,
      method: text === undefined ? 'GET' : 'POST',
      headers:
        text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
    });
    const timer = setTimeout(() => sent.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    sent.on('error', reject);
    sent.on('close', () => {
      clearTimeout(timer);
      reject(new Error('the connection was closed'));
    });
    sent.on('response', (response) => {
      /** @type {Buffer[]} */
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          const parsed = JSON.parse(Buffer.concat(chunks).toString());
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed });
        } catch (error) {
          reject(error);
        }
      });
    });
    sent.end(text);
  });
}
