import { MembraneError } from './membrane-error.js';
import { membraneIdSchema } from './names.js';

/**
 * Whom a message is for, seen from its sender. `one` and `out` mean one membrane, `any` one of its instances, the
 * others many.
 */
export type Target =
  | { readonly kind: 'one'; readonly id: string }
  /** The parent. */
  | { readonly kind: 'out' }
  /** That child, or all of them. */
  | { readonly kind: 'child'; readonly id: string }
  | { readonly kind: 'children' }
  /** The other children of the parent. */
  | { readonly kind: 'siblings' }
  /** Everything below the sender, or below `id`. */
  | { readonly kind: 'subtree'; readonly id: string | undefined }
  /** One instance of the id, whichever the balancer chooses. */
  | { readonly kind: 'any'; readonly id: string }
  /** Every instance of the id. */
  | { readonly kind: 'all'; readonly id: string };

const FORMS = 'an id, @out, @in:ID, @in*, @siblings, @subtree, @subtree:ID, @any:ID or @all:ID';

/**
 * Reads a target: `oven`, `@out`, `@in:child`, `@in*`, `@siblings`, `@subtree`, `@subtree:id`, `@any:id`, `@all:id`.
 * @throws MembraneError `invalid_request`
 */
export function parseTarget(text: string): Target {
  const [, name, id] = /^@([a-z]+\*?)(?::(.*))?$/s.exec(text) ?? [];
  if (name === undefined) return { kind: 'one', id: checkId(text, text) };
  if (id === undefined) {
    if (name === 'out') return { kind: 'out' };
    if (name === 'in*') return { kind: 'children' };
    if (name === 'siblings') return { kind: 'siblings' };
    if (name === 'subtree') return { kind: 'subtree', id: undefined };
  } else {
    if (name === 'in') return { kind: 'child', id: checkId(id, text) };
    if (name === 'subtree' || name === 'any' || name === 'all') return { kind: name, id: checkId(id, text) };
  }
  throw wrongTarget(text);
}

/** True where a target can mean more than one receiver: `broadcast` reaches those, `send` refuses. */
export function isGroupTarget({ kind }: Target): boolean {
  return kind === 'children' || kind === 'siblings' || kind === 'subtree' || kind === 'all';
}

function checkId(id: string, text: string): string {
  if (membraneIdSchema.safeParse(id).success) return id;
  throw wrongTarget(text);
}

function wrongTarget(text: string): MembraneError {
  const shown = text.length > 80 ? `${text.slice(0, 80)}…` : text;
  return new MembraneError('invalid_request', `target must be ${FORMS}; got "${shown}"`);
}
