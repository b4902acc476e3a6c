import type { Readable } from 'node:stream';
import { fromProblem, MembraneError, REVISION_HEADER } from '@membrane/protocol';
import axios, { type AxiosResponse } from 'axios';

/** Longest problem document that is read. */
const MAX_PROBLEM_BYTES = 64 * 1024;

/** What a registry says by another answer than the one that was asked for. */
export function toRefusal(url: string, path: string, response: AxiosResponse<unknown>): MembraneError {
  const retryAfterS = Number(response.headers['retry-after'] ?? Number.NaN);
  const problem = fromProblem(response.data, Number.isFinite(retryAfterS) ? retryAfterS * 1_000 : undefined);
  // Who has looked for a membrane says by which state: anything else has not even understood the path.
  const isFarFromIt = problem?.code === 'not_found' && !(REVISION_HEADER.toLowerCase() in response.headers);
  return (
    (isFarFromIt ? undefined : problem) ??
    new MembraneError(
      'registry_unreachable',
      `${url} is no Membrane registry: it answered ${path} with status ${response.status}`,
    )
  );
}

/** Undefined where it is none. */
export async function readJson(body: Readable): Promise<unknown> {
  let text = '';
  for await (const chunk of body as AsyncIterable<Buffer>) {
    text += chunk.toString();
    if (text.length > MAX_PROBLEM_BYTES) return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The error of axios holds the whole request, and with it the lease token: what is printed, or logged, must not. */
export function withoutRequest(error: unknown): unknown {
  if (!axios.isAxiosError(error)) return error;
  const { message, code, cause } = error;
  return Object.assign(new Error(message, { cause }), code === undefined ? {} : { code });
}

/** 202: it is kept, and somebody else goes on with it. */
export function isSuccess(status: number): boolean {
  return status === 200 || status === 202;
}

/** A registry that answers, if only that it cannot, tells more than one that is silent. */
export function summarize(failures: readonly MembraneError[]): MembraneError {
  const [first] = failures;
  if (first === undefined) throw new Error('a connection without a URL');
  const answered = failures.find(({ code }) => code !== 'registry_unreachable');
  if (answered !== undefined || failures.length === 1) return answered ?? first;
  return new MembraneError('registry_unreachable', failures.map(({ message }) => message).join('; '), {
    cause: first.cause,
  });
}

/** A kept connection may have died while nobody used it. */
export function isBrokenConnection(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && ['ECONNRESET', 'EPIPE'].includes(String(cause.code));
}
