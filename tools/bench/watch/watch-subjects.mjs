// What is watched by the watch bench: how it is started, how it is changed, and how a change shows in what a watcher reads.
import { startEtcd } from '../servers/etcd-server.mjs';
import { startServer } from '../process/server-process.mjs';

/** Ids, or keys, that change in turn. */
export const CHANGING = 1_000;
const DIGITS = 9;

/**
 * @typedef {object} WatchSubject
 * @property {string} name for people
 * @property {(directory: string) => Promise<Pick<import('../process/server-process.mjs').Server, 'url' | 'child'>>} start rejects
 * where it is not installed
 * @property {(host: string) => string} watchRequest what a watcher writes to its socket
 * @property {string} opened is in what it reads once it hears of every change
 * @property {(number: number) => { path: string; body: object }} change each has a number of its own
 * @property {string} marker stands before that number in what it reads
 * @property {number} numberLength in bytes
 * @property {(text: string) => number} toNumber
 * @property {boolean} mayRefuse true where it may not be up to so many watchers: a change that it refuses is never heard
 */

const toDigits = (/** @type {number} */ number) => String(number).padStart(DIGITS, '0');
const nameOf = (/** @type {number} */ number) => `member-${String(number % CHANGING).padStart(5, '0')}`;
const toBase64 = (/** @type {string} */ text) => Buffer.from(text).toString('base64');

/** @type {Record<'registry' | 'etcd', WatchSubject>} */
export const WATCH_SUBJECTS = {
  registry: {
    name: 'the registry',
    start: (directory) => startServer(new URL('../servers/registry-host.mjs', import.meta.url), directory),
    watchRequest: (host) => `GET /watch HTTP/1.1\r\nHost: ${host}\r\n\r\n`,
    opened: '\r\n\r\n',
    change: (number) => ({
      path: '/register',
      body: {
        id: nameOf(number),
        parent: 'house',
        endpoint: `http://10.0.0.1:8080/member/${nameOf(number)}`,
        communication_mode: 'network',
        metadata: { number: toDigits(number) },
        heartbeat_interval_ms: 86_400_000,
      },
    }),
    marker: '"number":"',
    numberLength: DIGITS,
    toNumber: Number,
    mayRefuse: false,
  },
  etcd: {
    name: 'etcd, by its HTTP gateway',
    start: startEtcd,
    watchRequest: (host) => {
      // Every key that begins by "member-": the end of a range is the first beyond.
      const range = { key: toBase64('member-'), range_end: toBase64('member.') };
      const body = JSON.stringify({ create_request: range });
      return `POST /v3/watch HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    },
    opened: '"created":true',
    change: (number) => ({
      path: '/v3/kv/put',
      body: { key: toBase64(nameOf(number)), value: toBase64(toDigits(number)) },
    }),
    marker: '"value":"',
    numberLength: (DIGITS / 3) * 4,
    toNumber: (text) => Number(Buffer.from(text, 'base64').toString('latin1')),
    mayRefuse: true,
  },
};
