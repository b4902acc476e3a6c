import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A status as a registry gives it. */
export const STATUS = {
  registry_id: 'r',
  version: '0',
  membrane_count: 90,
  peer_count: 0,
  uptime: 5,
  revision: 7,
  counts: { active: 2, unhealthy: 88, draining: 0 },
  namespaces: {},
  store: { kind: 'memory', location: null, writable: true },
  recovering: false,
};

/** Servers that give the same answers as long as a test runs, for states that a real registry is in for a moment. */
export function useCannedRegistries(): (answers: Readonly<Record<string, object>>) => Promise<string> {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  return async (answers) => {
    const server = createServer(({ url = '' }, response) => {
      const answer = answers[url.split('?')[0] ?? ''];
      response.writeHead(answer === undefined ? 404 : 200, {
        'content-type': 'application/json',
        connection: 'close',
      });
      response.end(JSON.stringify(answer ?? {}));
    }).listen(0, '127.0.0.1');
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
}
