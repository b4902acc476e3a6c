import * as z from 'zod';
import { LIMITS } from './limits.js';

/** The namespace and the instance of those who name none. */
export const DEFAULT_NAMESPACE = 'default';
export const DEFAULT_INSTANCE_ID = 'default';

const NAME_CHARACTERS = 'letters, digits, ".", "_", ":" and "-", the first of them a letter or a digit';

function nameSchema(maxLength: number) {
  const pattern = new RegExp(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,${maxLength - 1}}$`);
  return z.string().regex(pattern, `must be 1 to ${maxLength} ${NAME_CHARACTERS}`);
}

export const membraneIdSchema = nameSchema(LIMITS.maxIdLength).meta({
  description: 'The name other membranes find this one by.',
  example: 'worker-1',
});

export const namespaceSchema = nameSchema(LIMITS.maxNameLength).meta({
  description: 'Ids are unique within a namespace.',
  example: 'default',
});

export const instanceIdSchema = nameSchema(LIMITS.maxNameLength).meta({
  description: 'Which replica of the id this is.',
  example: 'default',
});
