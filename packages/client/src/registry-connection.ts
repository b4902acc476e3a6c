import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isMembraneError, MembraneError } from '@membrane/protocol';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import type { Readable } from 'node:stream';
import { letProcessEnd } from './let-process-end.js';
import {
  isBrokenConnection,
  isSuccess,
  readJson,
  summarize,
  toRefusal,
  withoutRequest,
} from './registry-failure.js';

/** Requests of one process at once, to one registry; more wait their turn. */
const MAX_SOCKETS = 64;

/** Which of several registries is asked first. Connections that share it move from one to the next together. */
export interface RegistryPreference {
  index: number;
}

export interface ConnectionOptions {
  /** Base URLs without a slash at their end. The first one that answers is used until it fails. */
  readonly urls: readonly string[];
  /** True: a request under way keeps the process alive, as a file that is read does. */
  readonly holdsProcess: boolean;
  /** Of its own, unless it is given one. */
  readonly preference?: RegistryPreference;
}

export interface ConnectionRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole call, whatever the number of registries that are tried. */
  readonly timeoutMs: number;
  /**
   * How long the registry was asked to wait before it answers, if it has to: beside `timeoutMs`. Such a request has a
   * socket of its own, so that many of them do not stand in the way of others, and never keeps the process alive.
   */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** False where something else than a registry must have written this answer. */
  readonly isAnswer: (data: unknown) => boolean;
}

export interface StreamRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Until the answer begins. */
  readonly timeoutMs: number;
  readonly mediaType: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Requests to one of several registries, over connections that are kept. Where one is away, loading, or cannot write,
 * the next is asked: every call of a registry may be sent twice, since a registration counts its attempts.
 */
export class RegistryConnection {
  readonly #urls: readonly string[];
  readonly #http: AxiosInstance;
  readonly #waitingAgents: { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent };
  readonly #agents: readonly (HttpAgent | HttpsAgent)[];
  readonly #holdsProcess: boolean;
  readonly #preference: RegistryPreference;
  /** Limits of the requests under way. */
  readonly #underWay = new Set<AbortController>();
  #isClosed = false;

  constructor({ urls, holdsProcess, preference = { index: 0 } }: ConnectionOptions) {
    this.#urls = urls;
    this.#holdsProcess = holdsProcess;
    this.#preference = preference;
    const limits = { keepAlive: true, maxSockets: MAX_SOCKETS };
    const httpAgent = new HttpAgent(limits);
    const httpsAgent = new HttpsAgent(limits);
    this.#waitingAgents = {
      httpAgent: new HttpAgent({ keepAlive: true }),
      httpsAgent: new HttpsAgent({ keepAlive: true }),
    };
    const waitingAgents = Object.values(this.#waitingAgents);
    this.#agents = [httpAgent, httpsAgent, ...waitingAgents];
    (holdsProcess ? waitingAgents : this.#agents).forEach(letProcessEnd);
    this.#http = axios.create({
      httpAgent,
      httpsAgent,
      // Every status is looked at here, and a registry never redirects.
      validateStatus: () => true,
      maxRedirects: 0,
      // A registry is near; a proxy that is meant for the world outside would be asked about this machine.
      proxy: false,
    });
  }

  /** The registry that answered last, or is asked first. */
  get url(): string {
    return this.#urls[this.#preference.index] ?? '';
  }

  /**
   * @throws MembraneError with the registry's own code; `registry_unreachable` where none answered, with the cause
   * chained; `client_closed` after `close()`. An abort rejects with the signal's reason.
   */
  async request(request: ConnectionRequest): Promise<AxiosResponse<unknown>> {
    return this.#tryEach(request, (index, timeoutMs) => this.#ask(index, request, timeoutMs));
  }

  /**
   * Opens an answer that goes on until one of both ends it, such as a watch. It has a socket of its own.
   * @throws MembraneError as `request`, until the answer begins; later the stream is destroyed with what went wrong.
   */
  async open(request: StreamRequest): Promise<Readable> {
    return this.#tryEach(request, (index, timeoutMs) => this.#open(index, request, timeoutMs));
  }

  async #tryEach<Answer>(
    { timeoutMs, waitMs = 0 }: { readonly timeoutMs: number; readonly waitMs?: number },
    ask: (index: number, timeoutMs: number) => Promise<Answer>,
  ): Promise<Answer> {
    const endMs = performance.now() + timeoutMs;
    const first = this.#preference.index;
    const failures: MembraneError[] = [];
    for (let offset = 0; offset < this.#urls.length; offset += 1) {
      const index = (first + offset) % this.#urls.length;
      const left = this.#urls.length - offset;
      try {
        const share = (endMs + offset * waitMs - performance.now()) / left;
        const answer = await ask(index, share + waitMs);
        this.#prefer(index, first);
        return answer;
      } catch (error) {
        if (!isMembraneError(error)) throw error;
        if (error.status !== 503) {
          this.#prefer(index, first);
          throw error;
        }
        failures.push(error);
      }
    }
    // The next call begins with another one, so that one which hangs does not eat the time of every call.
    this.#prefer((first + 1) % this.#urls.length, first);
    throw summarize(failures);
  }

  /** Ends the requests under way, which reject with `client_closed` as all later ones, and the connections. */
  close(): void {
    this.#isClosed = true;
    for (const limit of this.#underWay) limit.abort();
    for (const agent of this.#agents) agent.destroy();
  }

  /** Unless another request, that ended earlier, has moved on from the same registry. */
  #prefer(index: number, first: number): void {
    if (this.#preference.index === first) this.#preference.index = index;
  }

  async #ask(index: number, request: ConnectionRequest, timeoutMs: number): Promise<AxiosResponse<unknown>> {
    const url = this.#urls[index] ?? '';
    const response = await this.#send(url, request, timeoutMs);
    if (isSuccess(response.status) && request.isAnswer(response.data)) return response;
    throw toRefusal(url, request.path, response);
  }

  async #open(
    index: number,
    { path, query, mediaType, signal }: StreamRequest,
    timeoutMs: number,
  ): Promise<Readable> {
    signal?.throwIfAborted();
    this.#assertOpen();
    const url = this.#urls[index] ?? '';
    const agents = { httpAgent: new HttpAgent(), httpsAgent: new HttpsAgent() };
    if (!this.#holdsProcess) Object.values(agents).forEach(letProcessEnd);
    const limit = new AbortController();
    const abort = (): void => limit.abort();
    const timer = setTimeout(abort, Math.max(timeoutMs, 1));
    if (!this.#holdsProcess) timer.unref();
    signal?.addEventListener('abort', abort);
    this.#underWay.add(limit);
    const end = (): void => {
      signal?.removeEventListener('abort', abort);
      this.#underWay.delete(limit);
      Object.values(agents).forEach((agent) => agent.destroy());
    };
    try {
      const response = await this.#http.get<Readable>(path, {
        baseURL: url,
        params: query,
        headers: { Accept: mediaType },
        responseType: 'stream',
        signal: limit.signal,
        ...agents,
      });
      const isRight =
        response.status === 200 && String(response.headers['content-type']).startsWith(mediaType);
      if (!isRight) throw toRefusal(url, path, { ...response, data: await readJson(response.data) });
      response.data.once('close', end);
      return response.data;
    } catch (cause) {
      end();
      if (isMembraneError(cause)) throw cause;
      throw this.#explain(cause, { url, timeoutMs, isLate: limit.signal.aborted, signal });
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends it again where a kept connection turns out to be dead, since the registry may live. */
  async #send(
    url: string,
    { method, path, query, body, headers, waitMs = 0, signal }: ConnectionRequest,
    timeoutMs: number,
  ): Promise<AxiosResponse<unknown>> {
    signal?.throwIfAborted();
    this.#assertOpen();
    // Of our own, for axios watches only the silence on a socket, and a signal of the caller may outlive many calls.
    const limit = new AbortController();
    const abort = (): void => limit.abort();
    const timer = setTimeout(abort, Math.max(timeoutMs, 1));
    if (!this.#holdsProcess || waitMs > 0) timer.unref();
    signal?.addEventListener('abort', abort);
    this.#underWay.add(limit);
    const send = (): Promise<AxiosResponse<unknown>> =>
      this.#http.request({
        baseURL: url,
        method,
        url: path,
        signal: limit.signal,
        ...(query === undefined ? {} : { params: query }),
        ...(body === undefined ? {} : { data: body }),
        ...(headers === undefined ? {} : { headers }),
        ...(waitMs > 0 ? this.#waitingAgents : {}),
      });
    try {
      return await send().catch((error: unknown) => {
        if (isBrokenConnection(error)) return send();
        throw error;
      });
    } catch (cause) {
      throw this.#explain(cause, { url, timeoutMs, isLate: limit.signal.aborted, signal });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      this.#underWay.delete(limit);
    }
  }

  /** Why no registry answered; throws what the caller is to know of itself. */
  #explain(
    cause: unknown,
    {
      url,
      timeoutMs,
      isLate,
      signal,
    }: { url: string; timeoutMs: number; isLate: boolean; signal?: AbortSignal | undefined },
  ): MembraneError {
    signal?.throwIfAborted();
    this.#assertOpen();
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const reason = isLate ? `no answer within ${Math.round(timeoutMs)} ms` : code;
    return new MembraneError('registry_unreachable', `no registry answers at ${url} (${reason})`, {
      cause: withoutRequest(cause),
    });
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new MembraneError('client_closed', 'this client was closed');
  }
}
