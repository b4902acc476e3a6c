import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIPv6, type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { MembraneError, MESSAGE_PATH, MESSAGE_SUBPROTOCOL, MESSAGES_PATH } from '@membrane/protocol';
import { WebSocketServer } from 'ws';
import type { MessageTaker } from '../messaging/message-taker.js';
import { answerProblem, answerProblemOnSocket } from './http-answers.js';
import { takePostedMessage } from './posted-message.js';
import { ReceiverConnection } from './receiver-connection.js';
import { FRAME_OVERHEAD_BYTES, type ReceiverLimits } from './stream-limits.js';

/** How often Node looks for requests that take too long. */
const REQUEST_CHECK_MS = 1_000;
/** Longer than senders keep a connection that they do not use, so that the end that knows is the one that closes. */
const KEEP_ALIVE_MS = 65_000;

/** What is served at one path. */
interface Served {
  readonly taker: MessageTaker;
  readonly connections: Set<ReceiverConnection>;
  readonly posts: Set<Promise<void>>;
}

export interface ServedPath {
  /** Says goodbye to those connected to it, waits for what is being handled; the path is nobody's from then on. */
  close(): Promise<void>;
}

/** HTTP and WebSocket in front of message takers, each at a path. Opens nothing: a listener is its caller's. */
export class MessageServer {
  readonly http: Server;
  readonly #limits: ReceiverLimits;
  readonly #webSockets: WebSocketServer;
  readonly #served = new Map<string, Served>();
  readonly #timer: NodeJS.Timeout;

  constructor(limits: ReceiverLimits) {
    this.#limits = limits;
    this.#webSockets = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: limits.maxMessageBytes + FRAME_OVERHEAD_BYTES,
      // The types do not know it yet.
      ...({ closeTimeout: limits.closeGraceMs } as object),
      handleProtocols: () => MESSAGE_SUBPROTOCOL,
    });
    this.http = createServer({
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      connectionsCheckingInterval: REQUEST_CHECK_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
    });
    this.http.maxConnections = limits.maxConnections;
    this.http.on('connection', (socket: Socket) => socket.unref());
    this.http.on('request', (request, response) => this.#onRequest(request, response));
    this.http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head));
    this.http.on('clientError', (error: Error & { code?: string }, socket) => onClientError(error, socket));
    this.#timer = setInterval(() => this.#checkAlive(), limits.pingIntervalMs).unref();
  }

  /** @throws MembraneError `conflict` where the path is taken. */
  serve(path: string, taker: MessageTaker): ServedPath {
    if (this.#served.has(path)) {
      throw new MembraneError('conflict', `messages at ${path} are taken by another client of this process`);
    }
    const served: Served = { taker, connections: new Set(), posts: new Set() };
    this.#served.set(path, served);
    let closing: Promise<void> | undefined;
    return { close: () => (closing ??= this.#stopServing(path, served)) };
  }

  /** Ends what is served, and the listener. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      if (this.http.listening) this.http.close(() => resolve());
      else resolve();
    });
    await Promise.all([...this.#served].map(([path, served]) => this.#stopServing(path, served)));
    this.http.closeAllConnections();
    clearInterval(this.#timer);
    await closed;
  }

  async #stopServing(path: string, { connections, posts }: Served): Promise<void> {
    this.#served.delete(path);
    const graceOver = new Promise<void>((resolve) => setTimeout(resolve, this.#limits.closeGraceMs).unref());
    await Promise.all([
      ...[...connections].map((connection) => connection.close()),
      Promise.race([Promise.all(posts), graceOver]),
    ]);
  }

  #checkAlive(): void {
    for (const { connections } of this.#served.values()) {
      for (const connection of connections) connection.checkAlive();
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => undefined);
    try {
      const { served, call } = this.#find(request);
      if (call === MESSAGES_PATH) {
        throw new MembraneError(
          'method_not_allowed',
          `${MESSAGES_PATH} wants a WebSocket of ${MESSAGE_SUBPROTOCOL}`,
        );
      }
      if (request.method !== 'POST') {
        response.setHeader('Allow', 'POST');
        throw new MembraneError('method_not_allowed', `${MESSAGE_PATH} wants POST`);
      }
      const post = takePostedMessage(request, response, served.taker, this.#limits.maxMessageBytes).finally(
        () => served.posts.delete(post),
      );
      served.posts.add(post);
    } catch (error) {
      answerProblem(request, response, error as MembraneError);
    }
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const ignore = (): void => undefined;
    socket.on('error', ignore);
    try {
      const { served, call } = this.#find(request);
      if (call !== MESSAGES_PATH) {
        throw new MembraneError('method_not_allowed', `a WebSocket is opened at ${MESSAGES_PATH}`);
      }
      const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
      if (!offered.includes(MESSAGE_SUBPROTOCOL)) {
        throw new MembraneError('invalid_request', `the subprotocol must be ${MESSAGE_SUBPROTOCOL}`);
      }
      this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        socket.off('error', ignore);
        const connection = new ReceiverConnection(webSocket, socket, served.taker, this.#limits);
        served.connections.add(connection);
        webSocket.on('close', () => served.connections.delete(connection));
      });
    } catch (error) {
      answerProblemOnSocket(socket, error as MembraneError);
    }
  }

  /** @throws MembraneError `forbidden`, `not_found`, `wrong_receiver` */
  #find({ url = '', headers }: IncomingMessage): { served: Served; call: string } {
    const { origin } = headers;
    if (origin !== undefined && origin !== this.#ownOrigin) {
      throw new MembraneError('forbidden', `pages of ${origin.slice(0, 200)} may not send messages`);
    }
    const [path = ''] = url.split('?', 1);
    const call = [MESSAGES_PATH, MESSAGE_PATH].find((end) => path.endsWith(end));
    if (call === undefined) {
      throw new MembraneError('not_found', `only ${MESSAGE_PATH} and ${MESSAGES_PATH} are served here`);
    }
    const prefix = path.slice(0, -call.length);
    const served = this.#served.get(prefix);
    if (served === undefined) {
      throw new MembraneError(
        'wrong_receiver',
        `nobody takes messages at ${prefix === '' ? '/' : prefix} here`,
      );
    }
    return { served, call };
  }

  /** A page has it only where this very server had served it. The Host header is no measure: whoever points a name here sets it. */
  get #ownOrigin(): string | undefined {
    const address: AddressInfo | string | null = this.http.address();
    if (address === null || typeof address === 'string') return undefined;
    const host = isIPv6(address.address) ? `[${address.address}]` : address.address;
    return `http://${host}:${address.port}`;
  }
}

function onClientError(error: Error & { code?: string }, socket: Duplex): void {
  if (error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  const problem =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new MembraneError('headers_too_large', 'the headers are too large')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new MembraneError('request_timeout', 'the request took too long to arrive')
        : new MembraneError('invalid_request', 'this is no HTTP request');
  answerProblemOnSocket(socket, problem);
}
