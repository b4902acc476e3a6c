import {
  DEFAULT_NAMESPACE,
  type DissolveRequest,
  type DivideRequest,
  type DrainRequest,
  type MoveRequest,
  type StatusCounts,
  type TreeChangeAnswer,
  type TreeQuery,
} from '@membrane/protocol';
import type { Clock } from '../clock.js';
import type { Decision } from '../domain/change.js';
import { decideDissolution } from '../domain/dissolution.js';
import { decideDivision } from '../domain/division.js';
import { decideDrain } from '../domain/drain.js';
import { findPrimary, type MembraneNode } from '../domain/membrane-node.js';
import { decideMove } from '../domain/move.js';
import type { StateView } from '../domain/state-view.js';
import { absentError } from '../domain/tombstone.js';
import type { TreeAsOf } from '../domain/tree-as-of.js';
import { walkForest, walkSubtree, type TreeEntry, type TreeWalk } from '../domain/tree-snapshot.js';
import type { CommandQueue } from './command-queue.js';
import { recordAt } from './membrane-records.js';
import type { RegistryState } from './registry-state.js';

/** Membranes written between two turns of the event loop. */
const SLICE_ENTRIES = 500;
/** Nodes that may change while a tree is collected, with pauses: what is remembered of them must not grow without end. */
const MAX_REMEMBERED_NODES = 100_000;

export interface WrittenTree {
  /** Log id and revision of what it shows. */
  readonly revision: string;
  /** JSON text. */
  readonly pieces: Iterable<string>;
}

export interface TreeServiceOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
}

/** The use cases of the tree: what operators change, and how it is read. Requests come in validated. */
export class TreeService {
  readonly #state: RegistryState;
  readonly #queue: CommandQueue;
  readonly #clock: Clock;

  constructor({ state, queue, clock }: TreeServiceOptions) {
    this.#state = state;
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Resolves once it is durable, as do the others. */
  move(id: string, request: MoveRequest): Promise<TreeChangeAnswer> {
    const namespace = request.namespace ?? DEFAULT_NAMESPACE;
    const command = { namespace, id, parent: request.parent, ifRevision: request.if_revision ?? undefined };
    return this.#change(namespace, id, (view, nowMs) => decideMove(view, command, nowMs));
  }

  dissolve(id: string, request: DissolveRequest): Promise<TreeChangeAnswer> {
    const namespace = request.namespace ?? DEFAULT_NAMESPACE;
    const command = { namespace, id, ifRevision: request.if_revision ?? undefined };
    return this.#change(namespace, id, (view, nowMs) => decideDissolution(view, command, nowMs));
  }

  divide(id: string, request: DivideRequest): Promise<TreeChangeAnswer> {
    const namespace = request.namespace ?? DEFAULT_NAMESPACE;
    const heirs = new Map(Object.entries(request.heirs));
    const command = { namespace, id, heirs, ifRevision: request.if_revision ?? undefined };
    return this.#change(namespace, id, (view, nowMs) => decideDivision(view, command, nowMs));
  }

  drain(id: string, request: DrainRequest): Promise<TreeChangeAnswer> {
    const namespace = request.namespace ?? DEFAULT_NAMESPACE;
    const { enabled } = request;
    const instanceId = request.instance_id ?? undefined;
    const command = { namespace, id, instanceId, enabled, reason: request.reason ?? null };
    return this.#change(namespace, id, (view, nowMs) => decideDrain(view, command, nowMs));
  }

  /**
   * The tree of a membrane, or all trees of the namespace, as they are at one moment. Other requests are served while
   * it is collected, and between two pieces of its text.
   * @throws MembraneError `not_found`.
   */
  async tree(id: string | undefined, query: TreeQuery): Promise<WrittenTree> {
    const namespace = query.namespace ?? DEFAULT_NAMESPACE;
    const maxDepth = query.depth ?? Number.POSITIVE_INFINITY;
    const revision = this.#state.revisionText;
    const view = this.#state.openView();
    try {
      const entries = await this.#collect(view, this.#walk(view, namespace, id, maxDepth));
      return { revision, pieces: this.#write(entries, id === undefined ? ['[', ']'] : ['', '']) };
    } finally {
      this.#state.closeView(view);
    }
  }

  #walk(view: TreeAsOf, namespace: string, id: string | undefined, maxDepth: number): TreeWalk {
    if (id === undefined) return walkForest(view, this.#state.directory, namespace, maxDepth);
    const top = view.node(namespace, id);
    if (top === undefined || top.instances.length === 0) throw absentError(top, namespace, id);
    return walkSubtree(view, top, maxDepth);
  }

  async #collect(view: TreeAsOf, walk: TreeWalk): Promise<TreeEntry[]> {
    for (;;) {
      const step = walk.next();
      if (step.done === true) return step.value;
      if (view.size < MAX_REMEMBERED_NODES) await new Promise(setImmediate);
    }
  }

  async #change(
    namespace: string,
    id: string,
    decide: (view: StateView, nowMs: number) => Decision<undefined>,
  ): Promise<TreeChangeAnswer> {
    const { revision } = await this.#queue.submit({
      namespace,
      id,
      decide: (view) => decide(view, this.#clock.wallMs()),
    });
    return { success: true, revision: revision ?? this.#state.revision };
  }

  *#write(entries: readonly TreeEntry[], [opening, closing]: readonly [string, string]): Iterable<string> {
    let text = opening;
    let level = -1;
    for (const [index, { node, parent, detached, ...entry }] of entries.entries()) {
      const primary = findPrimary(node);
      if (primary === undefined) continue;
      if (entry.level <= level) text += `${CLOSE.repeat(level - entry.level + 1)},`;
      const record = JSON.stringify(recordAt(this.#state, node, primary, parent, detached));
      text += `${record.slice(0, -1)},"counts":${JSON.stringify(countStatuses(node))},"children":[`;
      ({ level } = entry);
      if (index % SLICE_ENTRIES !== SLICE_ENTRIES - 1) continue;
      yield text;
      text = '';
    }
    yield text + CLOSE.repeat(level + 1) + closing;
  }
}

function countStatuses({ instances }: MembraneNode): StatusCounts {
  const counts: StatusCounts = { active: 0, unhealthy: 0, draining: 0 };
  for (const { status } of instances) counts[status] += 1;
  return counts;
}

/** Ends the children of a membrane, and the membrane. */
const CLOSE = ']}';
