import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';

/**
 * What a flag that takes a whole number says; undefined where it was not given.
 * @throws CommandError for anything else, and for what is out of bounds.
 */
export function readWholeNumber(
  flag: string,
  text: string | undefined,
  { min, max }: { min: number; max: number },
): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const bounds = max === Number.MAX_SAFE_INTEGER ? '' : ` from ${min} to ${max}`;
  throw new CommandError(`--${flag} must be a whole number${bounds}; got "${text}"`, EXIT_CODES.usage);
}
