import type { Decision } from './change.js';
import { RETENTION_MS, type MembraneNode } from './membrane-node.js';
import type { StateView } from './state-view.js';
import { isClaimed } from './tombstone-sweep.js';
import { childrenOf } from './tree-walk.js';

export interface SweepCommand {
  readonly namespace: string;
  readonly id: string;
}

/**
 * Forgets what has been remembered long enough: ended registrations, then the node itself where it has neither
 * instances nor children, and nothing in its mailbox, also no dead letter. Nobody sees these changes, so they have no events.
 */
export function decideSweep(view: StateView, command: SweepCommand, nowMs: number): Decision<undefined> {
  const node = view.node(command.namespace, command.id);
  if (node === undefined) return { kind: 'unchanged', outcome: undefined };
  const ended = node.ended.filter((item) => nowMs - item.endedAtMs < RETENTION_MS);
  const goes =
    ended.length === 0 &&
    node.instances.length === 0 &&
    node.vacantSinceMs !== null &&
    nowMs - node.vacantSinceMs >= RETENTION_MS &&
    view.mail.box(node.namespace, node.id) === undefined &&
    !hasChildren(view, node);
  if (!goes && ended.length === node.ended.length) return { kind: 'unchanged', outcome: undefined };
  return {
    kind: 'changed',
    outcome: undefined,
    change: {
      atMs: nowMs,
      nodes: [{ before: node, after: goes ? undefined : { ...node, ended } }],
      events: [],
    },
  };
}

/** Also those that name a membrane that was dissolved, whose heir this one is. */
function hasChildren(view: StateView, { namespace, id, tombstone }: MembraneNode): boolean {
  if (tombstone !== null) return isClaimed(view, namespace, id);
  for (const _ of childrenOf(view, namespace, id)) return true;
  return false;
}

/**
 * When each node has something to forget. All wait equally long, so a queue in order of arrival is a queue in order
 * of time; a node that cannot go yet is queued again.
 */
export class RetentionQueue {
  #items: { readonly command: SweepCommand; readonly dueMs: number }[] = [];
  #head = 0;

  /** `sinceMs`: when it ended or became vacant (wall clock). */
  add(command: SweepCommand, sinceMs: number): void {
    this.#items.push({ command, dueMs: sinceMs + RETENTION_MS });
  }

  /** Puts what was loaded, in whatever order, in order of time. */
  sort(): void {
    this.#items.sort((left, right) => left.dueMs - right.dueMs);
  }

  /** Those due, at most `limit`. */
  take(nowMs: number, limit: number): SweepCommand[] {
    const due: SweepCommand[] = [];
    for (let item = this.#items[this.#head]; item !== undefined; item = this.#items[this.#head]) {
      if (item.dueMs > nowMs || due.length === limit) break;
      due.push(item.command);
      this.#head += 1;
    }
    if (this.#head > 1_024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return due;
  }
}
