// What is measured by the message bench: each subject has a receiver and a sender, which run in processes of their own.
// A receiver answers every message once it is handled; a sender resolves when it knows that.
import { once } from 'node:events';
import { watch } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import { join } from 'node:path';
import { WebSocket, WebSocketServer } from 'ws';

/** @typedef {{ directory: string; registryUrl: string }} Place */
/** @typedef {{ send: (payload: unknown) => Promise<unknown>; close: () => Promise<unknown> | void }} Sender */
/**
 * @typedef {object} Subject
 * @property {string} name for people
 * @property {(place: Place) => Promise<string>} receive resolves with the address that a sender needs
 * @property {(place: Place, address: string) => Promise<Sender>} connect
 */

const [MOLECULER_RECEIVER_PORT, MOLECULER_SENDER_PORT] = [41_701, 41_702];

/** @param {(place: Place) => import('node:net').ListenOptions} where */
const bareWebSocket = (where) => ({
  receive: async (/** @type {Place} */ place) => {
    const http = createServer();
    new WebSocketServer({ server: http, perMessageDeflate: false }).on('connection', (socket) => {
      socket.on('message', (data) => {
        const { m } = JSON.parse(data.toString());
        socket.send(JSON.stringify({ a: m.id, o: 'processed' }));
      });
    });
    http.listen(where(place));
    await once(http, 'listening');
    const address = http.address();
    return typeof address === 'string' ? `ws+unix://${address}:/` : `ws://127.0.0.1:${address?.port}/`;
  },
  connect: async (/** @type {Place} */ _place, /** @type {string} */ address) => {
    const socket = new WebSocket(address, { perMessageDeflate: false });
    await once(socket, 'open');
    /** @type {Map<string, (value?: unknown) => void>} */
    const waiting = new Map();
    let count = 0;
    socket.on('message', (data) => {
      const { a } = JSON.parse(data.toString());
      waiting.get(a)?.();
      waiting.delete(a);
    });
    return {
      send: (/** @type {unknown} */ payload) =>
        new Promise((resolve) => {
          const id = String((count += 1));
          waiting.set(id, resolve);
          socket.send(JSON.stringify({ m: { id, sender: 'cook', target: 'oven', payload } }));
        }),
      close: () => socket.close(),
    };
  },
});

/** @param {(place: Place) => import('node:net').ListenOptions} where */
const barePost = (where) => ({
  receive: async (/** @type {Place} */ place) => {
    const server = createServer((incoming, response) => {
      /** @type {Buffer[]} */
      const chunks = [];
      incoming.on('data', (chunk) => chunks.push(chunk));
      incoming.on('end', () => {
        const { id } = JSON.parse(Buffer.concat(chunks).toString());
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ success: true, message_id: id }));
      });
    });
    server.listen(where(place));
    await once(server, 'listening');
    const address = server.address();
    return JSON.stringify(
      typeof address === 'string' ? { socketPath: address } : { host: '127.0.0.1', port: address?.port },
    );
  },
  connect: (/** @type {Place} */ _place, /** @type {string} */ address) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 64 });
    const options = {
      ...JSON.parse(address),
      method: 'POST',
      agent,
      headers: { 'content-type': 'application/json' },
    };
    let count = 0;
    return Promise.resolve({
      send: (/** @type {unknown} */ payload) =>
        new Promise((resolve, reject) => {
          const outgoing = request(options, (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (chunk) => (text += chunk));
            response.on('end', () => resolve(JSON.parse(text)));
          });
          outgoing.on('error', reject);
          outgoing.end(JSON.stringify({ id: String((count += 1)), sender: 'cook', target: 'oven', payload }));
        }),
      close: () => agent.destroy(),
    });
  },
});

/** @param {number} port @param {string} nodeID */
async function startBroker(port, nodeID) {
  const { ServiceBroker } = await import('moleculer').then((module) => module.default ?? module);
  const urls = [
    `tcp://127.0.0.1:${MOLECULER_RECEIVER_PORT}/oven`,
    `tcp://127.0.0.1:${MOLECULER_SENDER_PORT}/cook`,
  ];
  const broker = new ServiceBroker({
    nodeID,
    logger: false,
    transporter: { type: 'TCP', options: { udpDiscovery: false, urls, port } },
    registry: { preferLocal: false },
  });
  return broker;
}

/** @type {Omit<Subject, 'name'>} */
const moleculer = {
  receive: async () => {
    const broker = await startBroker(MOLECULER_RECEIVER_PORT, 'oven');
    broker.createService({ name: 'oven', actions: { take: () => true } });
    await broker.start();
    return 'oven';
  },
  connect: async () => {
    const broker = await startBroker(MOLECULER_SENDER_PORT, 'cook');
    await broker.start();
    await broker.waitForServices('oven', 60_000);
    return {
      send: (payload) => broker.call('oven.take', /** @type {object} */ (payload), { timeout: 30_000 }),
      close: () => broker.stop(),
    };
  },
};

/** The least that a durable hand-over by a directory takes; removing the file says that it is done. */
/** @type {Omit<Subject, 'name'>} */
const bareDirectory = {
  receive: async ({ directory }) => {
    const inbox = join(directory, 'bare-inbox');
    for (const name of ['tmp', 'new', 'cur']) await mkdir(join(inbox, name), { recursive: true });
    let isBusy = false;
    const read = async () => {
      if (isBusy) return;
      isBusy = true;
      for (
        let names = await readdir(join(inbox, 'new'));
        names.length > 0;
        names = await readdir(join(inbox, 'new'))
      ) {
        for (const name of names) {
          const claimed = join(inbox, 'cur', name);
          await rename(join(inbox, 'new', name), claimed);
          JSON.parse(await readFile(claimed, 'utf8'));
          await unlink(claimed);
        }
      }
      isBusy = false;
    };
    watch(join(inbox, 'new'), () => void read());
    return inbox;
  },
  connect: (_place, inbox) => {
    let count = 0;
    return Promise.resolve({
      send: async (payload) => {
        const name = `${String((count += 1)).padStart(9, '0')}.json`;
        const temporary = join(inbox, 'tmp', name);
        const file = await open(temporary, 'wx');
        await file.writeFile(JSON.stringify({ id: name, sender: 'cook', target: 'oven', payload }));
        await file.sync();
        await file.close();
        await rename(temporary, join(inbox, 'new', name));
        const parent = await open(join(inbox, 'new'), 'r');
        await parent.sync();
        await parent.close();
      },
      close: () => undefined,
    });
  },
};

/** @param {string} mode @param {string[]} modes */
const membrane = (mode, modes) => ({
  receive: async (/** @type {Place} */ place) => {
    const { createNamespaceClient } = await import('@membrane/client');
    const oven = createNamespaceClient(`oven-${mode}`, optionsFor(place, modes));
    let handled = 0;
    oven.onMessage(() => void (handled += 1), { concurrency: 1_000 });
    if (mode === 'mailbox')
      await oven.register({ endpoint: 'http://127.0.0.1:1', communicationMode: 'network' });
    else await oven.register();
    process.on('message', () => process.send?.({ handled }));
    return oven.id;
  },
  connect: (/** @type {Place} */ place, /** @type {string} */ id) =>
    import('@membrane/client').then(({ createNamespaceClient }) => {
      const cook = createNamespaceClient('cook', optionsFor(place, modes));
      return {
        send: (/** @type {any} */ payload) => cook.sendMessage(id, payload),
        close: () => cook.close(),
      };
    }),
});

/** @param {Place} place @param {string[]} modes */
function optionsFor({ directory, registryUrl }, modes) {
  return {
    registryUrl,
    modes: /** @type {any} */ (modes),
    sharedRoot: join(directory, 'shared'),
    socketDirectory: join(directory, 'sockets'),
  };
}

const tcp = () => ({ host: '127.0.0.1', port: 0 });

/** @type {Record<string, Subject>} */
export const SUBJECTS = {
  'ws-unix': {
    name: 'bare ws, Unix socket',
    ...bareWebSocket(({ directory }) => ({ path: join(directory, 'bare-ws.sock') })),
  },
  'ws-tcp': { name: 'bare ws, TCP', ...bareWebSocket(tcp) },
  'post-unix': {
    name: 'bare node:http, Unix socket',
    ...barePost(({ directory }) => ({ path: join(directory, 'bare-http.sock') })),
  },
  'post-tcp': { name: 'bare node:http, TCP', ...barePost(tcp) },
  moleculer: { name: 'Moleculer, TCP', ...moleculer },
  directory: { name: 'bare directory', ...bareDirectory },
  ipc: { name: 'ipc', ...membrane('ipc', ['ipc']) },
  network: { name: 'network', ...membrane('network', ['network']) },
  'shared-volume': { name: 'shared volume', ...membrane('shared-volume', ['shared-volume']) },
  mailbox: { name: 'mailbox', ...membrane('mailbox', ['ipc']) },
};
