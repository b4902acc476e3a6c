import type { EventType, MembraneError } from '@membrane/protocol';
import type { MailChange } from './mail.js';
import type { Instance, MembraneNode } from './membrane-node.js';
import type { PreservationChange } from './preserved-subtrees.js';

export interface NodeChange {
  readonly before: MembraneNode | undefined;
  /** Undefined where the node goes. */
  readonly after: MembraneNode | undefined;
}

/** An event before its commit: revisions in it are still pending. */
export interface EventDraft {
  readonly event: EventType;
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
  readonly parent: string | null;
  /** As the change leaves it; absent where the instance goes. */
  readonly instance?: Instance;
  /** Ancestors before and after, the parent first; absent where it was not, or is no more, in the tree. */
  readonly before?: readonly string[];
  readonly after?: readonly string[];
  /** Of a membrane that was dissolved or divided: as in its tombstone. */
  readonly heir?: string | null;
  readonly heirs?: ReadonlyMap<string, string | null>;
  /** Of the beginning and the end of preservation: leases in the subtree, and silent ones among them. */
  readonly preservation?: { readonly n: number; readonly s: number };
}

/** What one command does to the state: all of it or nothing, under one revision. */
export interface Change {
  /** Wall clock, epoch milliseconds. */
  readonly atMs: number;
  readonly nodes: readonly NodeChange[];
  readonly events: readonly EventDraft[];
  /** By mailbox; absent where none changes. */
  readonly mail?: readonly MailChange[];
  readonly preservation?: PreservationChange;
}

/** What a command comes to, seen from one state. */
export type Decision<Outcome> =
  | { readonly kind: 'changed'; readonly change: Change; readonly outcome: Outcome }
  | { readonly kind: 'unchanged'; readonly outcome: Outcome }
  | { readonly kind: 'refused'; readonly error: MembraneError };
