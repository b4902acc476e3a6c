// The references: what one Node process can do at best.
//   heartbeat, discover: parses the JSON body, touches a Map, answers
//   register: validates by the schema of the protocol, commits one row in groups to SQLite (WAL, FULL), answers
// node bare-server.mjs DIRECTORY; prints its URL.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { registrationRequestSchema } from '@membrane/protocol';

// The driver that @keyv/sqlite brings; no dependency of our own.
const sqlite3 = createRequire(createRequire(import.meta.url).resolve('@keyv/sqlite'))('sqlite3');

const database = new sqlite3.Database(`${process.argv[2]}/bare.sqlite`);
const query = promisify(database.all.bind(database));
await query('PRAGMA journal_mode=WAL');
await query('PRAGMA synchronous=FULL');
await query('CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value TEXT)');

/** @type {Map<string, any>} */
const members = new Map();
/** @type {{ row: [string, object]; answer: () => void }[]} */
let waiting = [];
let committing = false;

async function commitGroups() {
  committing = true;
  await new Promise(setImmediate);
  while (waiting.length > 0) {
    const group = waiting;
    waiting = [];
    await query(
      `INSERT INTO rows SELECT value ->> 0, value -> 1 FROM json_each(?) WHERE true
       ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
      JSON.stringify(group.map(({ row }) => row)),
    );
    for (const { answer } of group) answer();
  }
  committing = false;
}

/**
 * @param {import('node:http').ServerResponse} response
 * @param {string} body
 */
function send(response, body) {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

const server = createServer((request, response) => {
  const { url = '' } = request;
  if (request.method === 'GET') {
    const record = members.get(url.slice('/discover/'.length));
    send(response, JSON.stringify({ ...record, instances: [record] }));
    return;
  }
  /** @type {Buffer[]} */
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const body = JSON.parse(Buffer.concat(chunks).toString());
    if (url === '/heartbeat') {
      const member = members.get(body.id);
      member.last_heartbeat = performance.now();
      send(response, '{"success":true}');
      return;
    }
    const valid = registrationRequestSchema.parse(body);
    const record = {
      ...body,
      namespace: 'default',
      instance_id: 'default',
      status: 'active',
      registered_at: Date.now(),
    };
    const answer = () => {
      members.set(valid.id, record);
      send(response, JSON.stringify({ success: true, id: valid.id, revision: members.size }));
    };
    waiting.push({ row: [valid.id, record], answer });
    if (!committing) void commitGroups();
  });
});
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`);
});
