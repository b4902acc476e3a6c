import { isTimeout } from './timeout.js';

/** What to do about a registry that does not answer. */
export function adviseOnSilence(error: Error): string {
  const remedy = isTimeout(error)
    ? 'it does not answer in time; give it longer by --timeout'
    : 'start one by `membrane registry start`';
  return `${remedy}, or name another by --registry-url or MEMBRANE_REGISTRY_URL`;
}
