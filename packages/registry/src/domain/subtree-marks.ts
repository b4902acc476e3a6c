import type { EventDraft } from './change.js';
import { visitScopes, type Scope } from './change-scopes.js';

/** Revisions of the last change, by what a read looks at. */
type Mark = Record<Scope['kind'], number>;

/** Ids in a generation; two of them are remembered. */
const MAX_GENERATION_IDS = 32_768;

/** What changed in one run of revisions. */
class Generation {
  readonly #namespaces = new Map<string, Map<string, Mark>>();
  /** The last revision that is in it. */
  lastRevision = 0;
  size = 0;

  get(namespace: string, id: string): Mark | undefined {
    return this.#namespaces.get(namespace)?.get(id);
  }

  set(namespace: string, id: string, mark: Mark): void {
    let marks = this.#namespaces.get(namespace);
    if (marks === undefined) {
      marks = new Map();
      this.#namespaces.set(namespace, marks);
    }
    if (!marks.has(id)) this.size += 1;
    marks.set(id, mark);
  }
}

/**
 * Remembers for each id when it, its children, and what is below it changed last: so that whether anything under an
 * id has changed since a revision costs one look to ask, and a step for each ancestor to keep. Where it is not known
 * the answer is yes.
 *
 * It knows of the ids that changed last, as many as two generations hold: who has not looked for so many changes is
 * told to look. The older generation goes as a whole, so nothing need be sorted, and no map grows large.
 */
export class SubtreeMarks {
  readonly #maxGenerationIds: number;
  #present = new Generation();
  #past = new Generation();
  /** Nothing is known of what changed up to here. */
  #floor = 0;
  /** Nor, of ids without a mark, up to here. */
  #forgottenUpTo = 0;

  /** Tests have smaller generations. */
  constructor(maxGenerationIds = MAX_GENERATION_IDS) {
    this.#maxGenerationIds = maxGenerationIds;
  }

  /** Begins anew after a load: of what went before `floor`, removals for instance, nothing is known. */
  begin(floor: number): void {
    this.#present = new Generation();
    this.#past = new Generation();
    this.#floor = floor;
    this.#forgottenUpTo = floor;
  }

  /** To be told of every event, in the order of revisions. */
  note(event: EventDraft, revision: number): void {
    const { namespace } = event;
    if (this.#present.size >= this.#maxGenerationIds) this.#turn();
    visitScopes(event, (kind, id) => {
      let mark = this.#present.get(namespace, id);
      if (mark === undefined) {
        const known = this.#forgottenUpTo;
        mark = this.#past.get(namespace, id) ?? { node: known, children: known, subtree: known };
        this.#present.set(namespace, id, mark);
      }
      mark[kind] = revision;
    });
    this.#present.lastRevision = revision;
  }

  /** True where a read in this scope may see something else than it did at the revision. */
  isChangedSince({ kind, namespace, id }: Scope, revision: number): boolean {
    return revision < this.#floor || this.lastChange(kind, namespace, id) > revision;
  }

  /** Revision of the last change there, or the last of which that is not known. */
  lastChange(kind: Scope['kind'], namespace: string, id: string): number {
    const mark = this.#present.get(namespace, id) ?? this.#past.get(namespace, id);
    return mark?.[kind] ?? this.#forgottenUpTo;
  }

  #turn(): void {
    this.#forgottenUpTo = Math.max(this.#forgottenUpTo, this.#past.lastRevision);
    this.#past = this.#present;
    this.#present = new Generation();
  }
}
