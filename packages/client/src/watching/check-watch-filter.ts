import { invalidRequest, LIMITS, membraneIdSchema } from '@membrane/protocol';
import type { WatchFilter } from './watch.js';

/** @throws MembraneError `invalid_request` that names the field, its value and what would be right. */
export function checkWatchFilter({ subtree, ids }: WatchFilter): void {
  const issues: { path: string; message: string }[] = [];
  const check = (path: string, id: string): void => {
    const parsed = membraneIdSchema.safeParse(id);
    if (parsed.success) return;
    const message = parsed.error.issues[0]?.message ?? 'must be an id';
    issues.push({ path, message: `${message}; got ${JSON.stringify(id)}` });
  };
  if (subtree !== undefined) check('subtree', subtree);
  const given: unknown = ids;
  if (given !== undefined && !Array.isArray(given)) {
    throw invalidRequest(
      [{ path: 'ids', message: `must be a list of ids; got ${JSON.stringify(given)}` }],
      'watch',
    );
  }
  ids?.forEach((id, index) => {
    check(`ids.${index}`, id);
  });
  if (subtree !== undefined && ids !== undefined) {
    issues.push({ path: 'ids', message: 'must not be given together with subtree' });
  }
  if (ids !== undefined && (ids.length === 0 || ids.length > LIMITS.maxWatchIds)) {
    issues.push({ path: 'ids', message: `must be 1 to ${LIMITS.maxWatchIds} ids; got ${ids.length}` });
  }
  if (issues.length > 0) throw invalidRequest(issues, 'watch');
}
