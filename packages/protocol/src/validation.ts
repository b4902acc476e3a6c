import type * as z from 'zod';
import { MembraneError, type FieldError } from './membrane-error.js';

const SECRET_FIELDS = new Set(['lease_token']);
const MAX_REPORTED_ERRORS = 8;
const MAX_SHOWN_CHARACTERS = 80;

/** `['heartbeats', 3, 'id']` as `heartbeats[3].id`. */
function formatPath(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) =>
      typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`,
    '',
  );
}

/** What is in an object or a list is not shown: it may be a secret that stands in the wrong place. */
function formatValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > MAX_SHOWN_CHARACTERS ? `${text.slice(0, MAX_SHOWN_CHARACTERS)}…` : text;
}

function describeExpectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.expected === 'int' ? 'must be a whole number' : `must be of type ${issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}`;
    case 'too_small':
      return issue.message.startsWith('must') ? issue.message : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.message.startsWith('must') ? issue.message : `must be at most ${issue.maximum}`;
    case 'invalid_union': {
      const branch = issue.errors.at(-1)?.[0];
      return branch === undefined ? issue.message : describeExpectation(branch);
    }
    default:
      return issue.message;
  }
}

function toFieldError(issue: z.core.$ZodIssue): FieldError {
  const path = formatPath(issue.path);
  const last = issue.path.at(-1);
  // A bare entry of a list has no name that tells what it is.
  const secret = typeof last === 'number' || issue.path.some((key) => SECRET_FIELDS.has(String(key)));
  const got = secret ? '' : `; got ${formatValue(issue.input)}`;
  return { path, message: `${describeExpectation(issue)}${got}` };
}

/**
 * The input as the schema understands it.
 * @throws MembraneError `invalid_request` that names each field, its value and what would be right.
 */
export function validate<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  what: string,
): z.output<Schema> {
  const quick = schema.safeParse(input);
  if (quick.success) return quick.data;
  // Only who is refused pays for a report that holds the values.
  const { error } = schema.safeParse(input, { reportInput: true });
  throw invalidRequest((error ?? quick.error).issues.slice(0, MAX_REPORTED_ERRORS).map(toFieldError), what);
}

/** The error for fields that cannot be used; `what` names the thing they are in, as "body" or "query". */
export function invalidRequest(errors: readonly FieldError[], what: string): MembraneError {
  const detail = errors
    .map(({ path, message }) => (path === '' ? `the ${what} ${message}` : `${path} ${message}`))
    .join('. ');
  return new MembraneError('invalid_request', detail, { details: { errors } });
}
