import type { LookupAddress } from 'node:dns';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP } from 'node:net';
import { VERSION } from '../version.js';
import type { NameLookup } from './name-lookup.js';
import type { ProbePolicy } from './probe-policy.js';

/** What is read of an answer: more says no more of its health. */
const MAX_BODY_BYTES = 64 * 1024;
const HEADERS = { accept: '*/*', 'user-agent': `membrane-registry/${VERSION}` };

export type ProbeOutcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly reason: string }
  /** The registry does not ask there. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** It was stopped, or busy itself, so this says nothing. */
  | { readonly kind: 'unknown' };

export interface ProberOptions {
  readonly policy: ProbePolicy;
  readonly names: NameLookup;
  readonly timeoutMs: number;
}

/**
 * Asks one URL: any answer of 2xx, whole (or its first 64 KiB) and in time, passes. Redirects are not followed, since
 * they lead where nobody has looked.
 */
export class Prober {
  readonly #options: ProberOptions;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Never rejects. Its connection is closed when it resolves. */
  async probe(text: string, signal: AbortSignal): Promise<ProbeOutcome> {
    const { policy, timeoutMs } = this.#options;
    const url = policy.readUrl(text);
    if ('refusal' in url) return { kind: 'refused', reason: url.refusal };
    const ending = new AbortController();
    const stop = (): void => {
      ending.abort();
    };
    // After a pause of this process an answer may be there, unread: that is looked for first.
    const timer = setTimeout(() => setImmediate(stop), timeoutMs);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop);
    try {
      const outcome = await this.#ask(url, ending.signal);
      if (signal.aborted) return { kind: 'unknown' };
      return ending.signal.aborted && outcome.kind === 'failed'
        ? { kind: 'failed', reason: `no whole answer within ${timeoutMs} ms` }
        : outcome;
    } catch (error) {
      return { kind: 'failed', reason: explainError(error as NodeJS.ErrnoException) };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  }

  async #ask(url: URL, signal: AbortSignal): Promise<ProbeOutcome> {
    const { policy, names } = this.#options;
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const family = isIP(host);
    let addresses: readonly LookupAddress[] | undefined;
    try {
      addresses = family === 0 ? await names.find(host, signal) : [{ address: host, family }];
    } catch (error) {
      if (isOwnTrouble(error)) return { kind: 'unknown' };
      return { kind: 'failed', reason: 'its name cannot be resolved' };
    }
    if (addresses === undefined || signal.aborted) return { kind: 'unknown' };
    const allowed = policy.findAllowed(url, addresses);
    return 'refusal' in allowed ? { kind: 'refused', reason: allowed.refusal } : get(url, allowed, signal);
  }
}

/**
 * By node's own client: unlike `fetch` it can be told the addresses. They are those that were looked at: a name
 * resolved once more might lead elsewhere (DNS rebinding).
 */
function get(url: URL, addresses: readonly LookupAddress[], signal: AbortSignal): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    let outcome: ProbeOutcome = { kind: 'failed', reason: 'it closed the connection without an answer' };
    const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
      agent: false,
      headers: HEADERS,
      signal,
      lookup: (_host, options, callback) => {
        const [first] = addresses;
        if (options.all === true) callback(null, [...addresses]);
        else callback(null, first?.address ?? '', first?.family);
      },
    });
    const settle = (settled: ProbeOutcome): void => {
      outcome = settled;
      request.destroy();
    };
    request.on('response', (response) => {
      const { statusCode = 0 } = response;
      response.on('error', () => undefined);
      if (statusCode < 200 || statusCode > 299) {
        settle({ kind: 'failed', reason: explainStatus(statusCode) });
        return;
      }
      outcome = { kind: 'failed', reason: 'its answer broke off' };
      let bytes = 0;
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes > MAX_BODY_BYTES) settle({ kind: 'passed' });
      });
      response.on('end', () => {
        settle({ kind: 'passed' });
      });
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (isOwnTrouble(error)) outcome = { kind: 'unknown' };
      else if (outcome.kind === 'failed') outcome = { kind: 'failed', reason: explainError(error) };
    });
    request.on('close', () => {
      resolve(outcome);
    });
    request.end();
  });
}

function explainStatus(status: number): string {
  const isRedirect = status >= 300 && status <= 399;
  return `it answered ${status}${isRedirect ? ', and redirects are not followed' : ''}`;
}

/** Of this machine: its name server or network is away, or it has no more sockets. That says nothing of others. */
const OWN_TROUBLES: ReadonlySet<unknown> = new Set([
  'EAI_AGAIN',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EMFILE',
  'ENFILE',
]);

function isOwnTrouble(error: unknown): boolean {
  return OWN_TROUBLES.has((error as NodeJS.ErrnoException | undefined)?.code);
}

const EXPLANATIONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'it refused the connection',
  ECONNRESET: 'it closed the connection without an answer',
  EHOSTUNREACH: 'its host cannot be reached',
  ETIMEDOUT: 'it did not take the connection',
};

function explainError({ code = '' }: NodeJS.ErrnoException): string {
  if (code.startsWith('HPE_')) return 'its answer is not HTTP';
  if (code.startsWith('ERR_TLS_') || code.includes('CERT') || code.includes('ISSUER')) {
    return `its certificate cannot be verified (${code})`;
  }
  return EXPLANATIONS[code] ?? `the request failed (${code === '' ? 'for no known reason' : code})`;
}
