import * as z from 'zod';
import { LIMITS } from './limits.js';

/** A whole number in a query, which is text. */
export function countSchema(max: number) {
  return z
    .string()
    .regex(/^[0-9]{1,15}$/, `must be a whole number from 1 to ${max}`)
    .transform(Number)
    .pipe(z.int().min(1).max(max));
}

/** Levels of the tree below some membrane, as text. */
export const depthSchema = z
  .string()
  .regex(/^[0-9]{1,15}$/, `must be a whole number from 0 to ${LIMITS.maxTreeDepth}`)
  .transform(Number)
  .pipe(z.int().min(0).max(LIMITS.maxTreeDepth));

/** Milliseconds that a read may wait, as text. */
export const waitSchema = z
  .string()
  .regex(/^[0-9]{1,15}$/, `must be a whole number from 0 to ${LIMITS.maxWaitMs}`)
  .transform(Number)
  .pipe(z.int().min(0).max(LIMITS.maxWaitMs));

/** A revision alone, or `LOG:REVISION` as the revision header has it. */
export const revisionTextSchema = z
  .string()
  .regex(/^(?:[A-Za-z0-9-]{1,64}:)?[0-9]{1,15}$/, 'must be a revision, or an X-Membrane-Revision header');

/** The parts of a text that `revisionTextSchema` takes. `logId` is undefined for a revision alone. */
export function parseRevisionText(text: string): { logId: string | undefined; revision: number } {
  const separator = text.indexOf(':');
  return {
    logId: separator === -1 ? undefined : text.slice(0, separator),
    revision: Number(text.slice(separator + 1)),
  };
}
