import type { EventDraft } from './change.js';
import { TOP, visitScopes, type Scope } from './change-scopes.js';

/** Revisions of the last change, by what a read looks at. */
type Mark = Record<Scope['kind'], number>;

/**
 * Remembers for each id when it, its children, and what is below it changed last: so that whether anything under an
 * id has changed since a revision costs one look to ask, and a step for each ancestor to keep. Where it is not known
 * the answer is yes.
 */
export class SubtreeMarks {
  readonly #namespaces = new Map<string, Map<string, Mark>>();
  /** Nothing is known of what changed up to here. */
  #floor = 0;
  /** Nor, of ids without a mark, up to here. */
  #forgottenUpTo = 0;

  /** Begins anew after a load: of what went before `floor`, removals for instance, nothing is known. */
  begin(floor: number): void {
    this.#namespaces.clear();
    this.#floor = floor;
    this.#forgottenUpTo = floor;
  }

  /** To be told of every event, in the order of revisions. */
  note(event: EventDraft, revision: number): void {
    const marks = this.#marksOf(event.namespace);
    visitScopes(event, (kind, id) => {
      let mark = marks.get(id);
      if (mark === undefined) {
        const known = this.#forgottenUpTo;
        mark = { node: known, children: known, subtree: known };
        marks.set(id, mark);
      }
      mark[kind] = revision;
    });
  }

  /** True where a read in this scope may see something else than it did at the revision. */
  isChangedSince({ kind, namespace, id }: Scope, revision: number): boolean {
    return revision < this.#floor || this.lastChange(kind, namespace, id) > revision;
  }

  /** Revision of the last change there, or the last of which that is not known. */
  lastChange(kind: Scope['kind'], namespace: string, id: string): number {
    return this.#namespaces.get(namespace)?.get(id)?.[kind] ?? this.#forgottenUpTo;
  }

  /** For an id that has no node any more, and that no node names as its parent: what grows must shrink. */
  forget(namespace: string, id: string): void {
    const marks = this.#namespaces.get(namespace);
    const mark = marks?.get(id);
    if (marks === undefined || mark === undefined) return;
    marks.delete(id);
    this.#forgottenUpTo = Math.max(this.#forgottenUpTo, mark.node, mark.children, mark.subtree);
    if (marks.size === 1 && marks.has(TOP)) {
      this.#namespaces.delete(namespace);
      this.#forgottenUpTo = Math.max(this.#forgottenUpTo, marks.get(TOP)?.subtree ?? 0);
    }
  }

  #marksOf(namespace: string): Map<string, Mark> {
    let marks = this.#namespaces.get(namespace);
    if (marks === undefined) {
      marks = new Map();
      this.#namespaces.set(namespace, marks);
    }
    return marks;
  }
}
