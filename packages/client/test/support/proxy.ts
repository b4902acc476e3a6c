import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface Proxy {
  readonly url: string;
  /** Requests that went through so far, by path. */
  requests(path: string): number;
  /** Cuts the connection in place of passing on the next answer. */
  loseNextAnswer(): void;
  /** Answers come this much later. */
  delayMs: number;
}

/** A network that can be made to fail, between a client and a registry; closed when the test is over. */
export function useProxies(): (port: number) => Promise<Proxy> {
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });
  return async (port) => {
    const requests = new Map<string, number>();
    const sockets = new Set<Socket>();
    let losing = false;
    const server = createServer((socket) => {
      const upstream = connect(port, '127.0.0.1');
      for (const end of [socket, upstream]) {
        sockets.add(end);
        end.on('error', () => undefined);
        end.on('close', () => {
          socket.destroy();
          upstream.destroy();
        });
      }
      socket.on('data', (chunk: Buffer) => {
        const path = /^(?:POST|GET) (\S+) HTTP/.exec(chunk.toString('latin1'))?.[1];
        if (path !== undefined) requests.set(path, (requests.get(path) ?? 0) + 1);
        upstream.write(chunk);
      });
      upstream.on('data', (chunk: Buffer) => {
        if (losing) {
          losing = false;
          socket.resetAndDestroy();
        } else setTimeout(() => socket.write(chunk), proxy.delayMs);
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    closers.push(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
    const proxy = {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      requests: (path: string) => requests.get(path) ?? 0,
      loseNextAnswer: () => (losing = true),
      delayMs: 0,
    };
    return proxy;
  };
}
