import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { MembraneError, type ErrorCode } from '@membrane/protocol';
import { problemAnswer, sendAnswer } from './answer.js';
import type { Calls } from './calls.js';
import type { MailboxCalls } from './mailbox-calls.js';
import { takeFastPath } from './fast-path.js';

/** Bounds on how long a peer may take. */
export const HTTP_TIMEOUTS = Object.freeze({
  /** For the head of a request, or for sending nothing at all on a new connection. */
  headersMs: 10_000,
  /** For a whole request. */
  requestMs: 30_000,
  /** An idle connection outlives those of common proxies (60 s), so that none sends into one just closed. */
  keepAliveMs: 75_000,
  /** How often the first two are looked after. */
  checkMs: 1_000,
});

/** How long requests under way may take at shutdown before their connections are cut. */
const CLOSE_GRACE_MS = 3_000;
/** How often connections whose last request was answered meanwhile are closed. */
const CLOSE_CHECK_MS = 20;

export interface HttpServerOptions {
  readonly calls: Calls;
  readonly mailboxCalls: MailboxCalls;
  readonly app: (request: IncomingMessage, response: ServerResponse) => void;
  readonly host: string;
  readonly port: number;
  /** False sends every request through Express. */
  readonly fastPath?: boolean;
  readonly timeouts?: Readonly<Partial<Record<keyof typeof HTTP_TIMEOUTS, number>>>;
  /** Told of every answer that was sent. */
  readonly onAnswered?: (request: IncomingMessage, response: ServerResponse, tookMs: number) => void;
}

/** Listens; answers what must be fast before Express sees it. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #server: Server;
  /** The last of each connection. */
  readonly #responses = new WeakMap<Socket, ServerResponse>();

  constructor(options: HttpServerOptions) {
    this.#options = options;
    const { app, fastPath = true, onAnswered } = options;
    const timeouts = { ...HTTP_TIMEOUTS, ...options.timeouts };
    this.#server = createServer(
      {
        headersTimeout: timeouts.headersMs,
        requestTimeout: timeouts.requestMs,
        keepAliveTimeout: timeouts.keepAliveMs,
        connectionsCheckingInterval: timeouts.checkMs,
        noDelay: true,
        // Looked for below, to be answered by a problem.
        requireHostHeader: false,
      },
      (request, response) => {
        if (onAnswered !== undefined) {
          const startMs = performance.now();
          response.once('finish', () => {
            onAnswered(request, response, performance.now() - startMs);
          });
        }
        this.#responses.set(request.socket, response);
        if (request.headers.host === undefined && request.httpVersion === '1.1') {
          refuse(response, 'the Host header must be given');
        } else if (!fastPath || !takeFastPath(options, request, response)) app(request, response);
      },
    );
    this.#server.on('checkExpectation', (request, response) => {
      this.#responses.set(request.socket, response);
      refuse(response, `the Expect header must be 100-continue; got "${String(request.headers.expect)}"`);
    });
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      answerClientError(error, socket, this.#responses.get(socket));
    });
  }

  /** Where it listens. Rejects with the error of the system, as `EADDRINUSE`. */
  listen(): Promise<string> {
    const { host, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port }, () => {
        this.#server.off('error', reject);
        const { address, family, port: chosen } = this.#server.address() as AddressInfo;
        resolve(`http://${family === 'IPv6' ? `[${address}]` : address}:${chosen}`);
      });
    });
  }

  /** Takes no new connection, and resolves when requests under way are answered or out of time. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#server.listening) {
        resolve();
        return;
      }
      const cut = setTimeout(() => {
        this.#server.closeAllConnections();
      }, CLOSE_GRACE_MS);
      const closeIdle = setInterval(() => {
        this.#server.closeIdleConnections();
      }, CLOSE_CHECK_MS);
      this.#server.close(() => {
        clearTimeout(cut);
        clearInterval(closeIdle);
        resolve();
      });
    });
  }
}

const CLIENT_ERRORS: Record<string, readonly [ErrorCode, string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'the request did not arrive in time'],
  HPE_HEADER_OVERFLOW: ['headers_too_large', 'the head of the request is too large'],
};

function refuse(response: ServerResponse, message: string): void {
  sendAnswer(response, problemAnswer(new MembraneError('invalid_request', message)));
}

/**
 * True where an answer on this connection can only be read as that of the broken request: nothing went before it, or
 * that is answered, or it is the one whose body never came.
 */
function isUnanswered(socket: Socket, last: ServerResponse | undefined): boolean {
  if (last === undefined) return true;
  const { complete } = last.req;
  if (complete) return last.writableFinished;
  // A response gets the connection when those before it are sent.
  return !last.headersSent && last.socket === socket;
}

/** A request so broken that there is no response object for it. */
function answerClientError(
  error: NodeJS.ErrnoException,
  socket: Socket,
  last: ServerResponse | undefined,
): void {
  if (!socket.writable || error.code === 'ECONNRESET' || !isUnanswered(socket, last)) {
    socket.destroy();
    return;
  }
  const [code, message] = CLIENT_ERRORS[error.code ?? ''] ?? [
    'invalid_request',
    'the request is not HTTP/1.1',
  ];
  const { status, contentType, body } = problemAnswer(new MembraneError(code, message));
  socket.end(
    `HTTP/1.1 ${status} ${code}\r\nContent-Type: ${contentType}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
