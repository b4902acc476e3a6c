import { openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { createNamespaceClient } from '@membrane/client';

/** Of the registrations: those who are killed come back before their names are gone, mostly. */
const HEARTBEAT_MS = 1_000;

const DEAD_LETTERS_AT_ONCE = 1_000;

/** @typedef {'ipc' | 'network' | 'shared-volume' | 'mailbox'} Mode */

/**
 * @typedef {object} ProcessSetting  What a sender and a receiver are told, as JSON in their argument.
 * @property {string} id
 * @property {Mode} mode the one way that they share; `mailbox`: none
 * @property {string} registryUrl
 * @property {string} namespace
 * @property {string} directory of the soak
 * @property {string} log
 */

/**
 * A client that has the mode alone.
 * @param {ProcessSetting} setting
 * @param {import('@membrane/client').NamespaceClientOptions} [options]
 */
export function createClient({ id, mode, registryUrl, namespace, directory }, options) {
  const own = mode === 'mailbox' ? 'ipc' : mode;
  return createNamespaceClient(id, {
    registryUrl,
    namespace,
    modes: [own],
    communicationMode: own,
    heartbeatIntervalMs: HEARTBEAT_MS,
    // Nobody finds the socket of another where each has a directory of its own.
    socketDirectory: join(directory, mode === 'mailbox' ? `sockets-${id}` : 'sockets'),
    sharedRoot: join(directory, 'volume'),
    ...options,
  });
}

/**
 * Appends lines to a file. What was written is there, also when this process is killed in the next moment.
 * @param {string} path
 */
export function openLog(path) {
  const file = openSync(path, 'a', 0o600);
  return (/** @type {(string | number)[]} */ ...words) => void writeSync(file, `${words.join(' ')}\n`);
}

/**
 * Tells its parent of dead letters when it asks, and does not outlive it.
 * @param {import('@membrane/client').NamespaceClient} client
 */
export function answerParent(client) {
  process.channel?.ref();
  process.on('disconnect', () => process.exit());
  process.on('message', () => void tellDeadLetters(client));
}

/** Each is told once: then it is thrown away. @param {import('@membrane/client').NamespaceClient} client */
async function tellDeadLetters(client) {
  const letters = [];
  for (;;) {
    const some = await client.deadLetters({ limit: DEAD_LETTERS_AT_ONCE });
    if (some.length === 0) break;
    for (const { code, envelope } of some) {
      const { number } = /** @type {any} */ (envelope?.payload ?? {});
      letters.push({ code, name: `${envelope?.sender}.${number}` });
    }
    await client.discardDeadLetters(some.map(({ messageId }) => messageId));
  }
  tell({ name: 'deadLetters', letters });
}

/** @template Setting @returns {Setting} */
export function readSetting() {
  return JSON.parse(process.argv[2]);
}

/** @param {object} news */
export function tell(news) {
  process.send?.(news);
}
