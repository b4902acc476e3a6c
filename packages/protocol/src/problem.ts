import * as z from 'zod';
import { ERROR_CODES, isErrorCode } from './error-codes.js';
import { MembraneError } from './membrane-error.js';

/** Media type of every error answer (RFC 9457). */
export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export const problemSchema = z
  .object({
    type: z.string().meta({ description: 'A URN that names the code.' }),
    title: z.string(),
    status: z.number(),
    detail: z.string().meta({ description: 'What went wrong this time, for people.' }),
    code: z.string().meta({ description: 'What a client branches on.' }),
    success: z.literal(false),
    errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem', description: 'An error, as RFC 9457 problem details.' });

export type Problem = z.infer<typeof problemSchema>;

export function toProblem(error: MembraneError): Problem {
  const { code, message, details } = error;
  return {
    type: `urn:membrane:error:${code}`,
    title: ERROR_CODES[code].title,
    status: error.status,
    detail: message,
    code,
    success: false,
    ...(details.errors === undefined ? {} : { errors: details.errors.map((field) => ({ ...field })) }),
  };
}

/** The error that an answer's body describes, or undefined where the body is no problem document. */
export function fromProblem(body: unknown, retryAfterMs?: number): MembraneError | undefined {
  const problem = problemSchema.safeParse(body);
  if (!problem.success || !isErrorCode(problem.data.code)) return undefined;
  return new MembraneError(problem.data.code, problem.data.detail, {
    details: {
      ...(problem.data.errors === undefined ? {} : { errors: problem.data.errors }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    },
  });
}
