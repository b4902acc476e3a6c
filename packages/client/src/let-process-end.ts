import type { Agent } from 'node:http';
import type { Socket } from 'node:net';

/** Sockets of this agent never keep the process alive: not while they wait, not while a request is under way. */
export function letProcessEnd<SomeAgent extends Agent>(agent: SomeAgent): SomeAgent {
  const open = agent as unknown as {
    createConnection: (...args: unknown[]) => Socket;
    reuseSocket: (socket: Socket, request: unknown) => void;
  };
  const createConnection = open.createConnection.bind(agent);
  const reuseSocket = open.reuseSocket.bind(agent);
  open.createConnection = (...args) => createConnection(...args).unref();
  open.reuseSocket = (socket, request) => {
    reuseSocket(socket, request);
    socket.unref();
  };
  return agent;
}
