// Who reads everything once: node walk-reader.mjs URL HOW. `list`: all records, as one stream; `snapshot`: a client that
// keeps a replica. Tells its parent process how many there were, and in what time.
import { connect } from 'node:net';
import { createNamespaceClient } from '@membrane/client';

const [registryUrl = '', how = ''] = process.argv.slice(2);
process.once('disconnect', () => process.exit());

/** Reads every byte, and counts the records by a word that each has once. @returns {Promise<number>} */
function list() {
  const { hostname, port } = new URL(registryUrl);
  const mark = '"last_heartbeat"';
  return new Promise((resolve, reject) => {
    let count = 0;
    let rest = '';
    const socket = connect(Number(port), hostname).setEncoding('latin1');
    socket.write('GET /list HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n');
    socket.on('data', (chunk) => {
      const parts = (rest + String(chunk)).split(mark);
      count += parts.length - 1;
      // The word may lie on both sides of a cut.
      rest = (parts.at(-1) ?? '').slice(1 - mark.length);
    });
    socket.on('end', () => resolve(count));
    socket.on('error', reject);
  });
}

async function snapshot() {
  const client = createNamespaceClient('walk-reader', { registryUrl, cache: 'watch' });
  await client.replicaReady();
  return client.replicaStatus?.size ?? 0;
}

const startMs = performance.now();
const count = await (how === 'list' ? list() : snapshot());
process.send?.({ count, tookMs: performance.now() - startMs });
