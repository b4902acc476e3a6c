import type { z } from 'zod';
import type { EventDraft } from '../domain/change.js';
import type { LoggedChange } from '../domain/event-log.js';
import {
  NONE_ENDED,
  type EndedInstance,
  type Endpoint,
  type Instance,
  type MembraneNode,
} from '../domain/membrane-node.js';
import type { PreservedSubtree } from '../domain/preserved-subtrees.js';
import { JOURNAL_PREFIX, type StoredEntry } from '../store/membrane-store.js';
import { MailDecoder, type DecodedMail } from './mail-decoder.js';
import { RowReader } from './row-reader.js';
import { PlainNodeReader } from './plain-node-reader.js';
import {
  endedRowSchema,
  INLINE_INSTANCE_ID,
  INSTANCE_PREFIX,
  journalRowSchema,
  liveRowSchema,
  NO_HASHES,
  NODE_PREFIX,
  nodeRowSchema,
  PRESERVATION_PREFIX,
  preservationRowSchema,
  type describedSchema,
  type fenceSchema,
} from './state-rows.js';

/** Puts rows together again, in whatever order they come. */
export class StateDecoder {
  readonly #rows: RowReader;
  readonly #plain = new PlainNodeReader();
  readonly #mail: MailDecoder;
  readonly #nodes: MembraneNode[] = [];
  /** Nodes of format 1, whose inline instance stands in a row of its own. */
  readonly #outOfLine = new Set<string>();
  /** By the key of the node. */
  readonly #instances = new Map<string, Instance[]>();
  readonly #ended = new Map<string, EndedInstance[]>();
  readonly #journal: LoggedChange[] = [];
  readonly #preserved: PreservedSubtree[] = [];

  /** `location` is what errors call the store. */
  constructor(location: string) {
    this.#rows = new RowReader(location);
    this.#mail = new MailDecoder(this.#rows);
  }

  /**
   * True where the entry was one of those that a change writes.
   * @throws OperatorError for a row that cannot be read: it names the row.
   */
  add(entry: StoredEntry): boolean {
    const { key, revision } = entry;
    if (key.startsWith(NODE_PREFIX)) {
      this.#nodes.push(this.#plain.read(entry) ?? this.#readNode(entry));
    } else if (key.startsWith(INSTANCE_PREFIX)) {
      this.#addInstance(entry);
    } else if (key.startsWith(JOURNAL_PREFIX)) {
      const row = this.#rows.check(journalRowSchema, entry);
      this.#journal.push({
        revision,
        atMs: row.atMs,
        events: row.events.map((event) => decodeEvent(event, revision)),
      });
    } else if (key.startsWith(PRESERVATION_PREFIX)) {
      this.#preserved.push(this.#rows.check(preservationRowSchema, entry));
    } else {
      return this.#mail.add(entry);
    }
    return true;
  }

  /**
   * The nodes in the order of their creation.
   * @throws OperatorError where an instance belongs to none.
   */
  nodes(): MembraneNode[] {
    if (this.#instances.size + this.#ended.size > 0) this.#addOthers();
    // Rows come in the order in which they were first written, as a rule.
    const isSorted = this.#nodes.every(
      ({ createdRevision }, index) => (this.#nodes[index - 1]?.createdRevision ?? 0) <= createdRevision,
    );
    return isSorted ? this.#nodes : this.#nodes.sort((a, b) => a.createdRevision - b.createdRevision);
  }

  /** The journal, oldest first. */
  journal(): LoggedChange[] {
    return this.#journal.sort((a, b) => a.revision - b.revision);
  }

  /** The subtrees that are preserved. */
  preserved(): readonly PreservedSubtree[] {
    return this.#preserved;
  }

  /** What is in the mailboxes. */
  mail(): DecodedMail {
    return this.#mail.mail();
  }

  #readNode(entry: StoredEntry): MembraneNode {
    const [namespace, id] = this.#rows.names(entry.key, NODE_PREFIX, 2);
    const { live, ended, ...row } = this.#rows.check(nodeRowSchema, entry);
    const { revision } = entry;
    if (live === undefined) this.#outOfLine.add(`${namespace}/${id}`);
    return {
      namespace,
      id,
      parent: row.parent ?? null,
      requestedParent: row.requestedParent === undefined ? (row.parent ?? null) : row.requestedParent,
      tombstone: row.tombstone ?? null,
      createdRevision: row.createdRevision ?? revision,
      revision: row.revision ?? revision,
      vacantSinceMs: row.vacantSinceMs,
      instances: live == null ? [] : [toInstance(INLINE_INSTANCE_ID, live, live, live.revision ?? revision)],
      ended:
        ended === undefined ? NONE_ENDED : [toEnded(INLINE_INSTANCE_ID, ended, ended.revision ?? revision)],
    };
  }

  #addInstance(entry: StoredEntry): void {
    const [namespace, id, instanceId] = this.#rows.names(entry.key, INSTANCE_PREFIX, 3);
    const key = `${namespace}/${id}`;
    const { revision } = entry;
    // Asked beforehand: trying one schema after the other would double the time of a restart.
    if (typeof entry.value === 'object' && entry.value !== null && 'ended' in entry.value) {
      pushTo(this.#ended, key, toEnded(instanceId, this.#rows.check(endedRowSchema, entry), revision));
    } else {
      const row = this.#rows.check(liveRowSchema, entry);
      pushTo(this.#instances, key, toInstance(instanceId, row, row, revision));
    }
  }

  /** What has a row of its own goes to its node. */
  #addOthers(): void {
    for (const [index, node] of this.#nodes.entries()) {
      const key = `${node.namespace}/${node.id}`;
      // Left over from format 1.
      const isStale = ({ instanceId }: { instanceId: string }): boolean =>
        instanceId === INLINE_INSTANCE_ID && !this.#outOfLine.has(key);
      const instances = this.#instances.get(key)?.filter((instance) => !isStale(instance)) ?? [];
      const ended = this.#ended.get(key)?.filter((each) => !isStale(each)) ?? [];
      this.#instances.delete(key);
      this.#ended.delete(key);
      if (instances.length + ended.length === 0) continue;
      this.#nodes[index] = {
        ...node,
        instances: [...node.instances, ...instances].sort((a, b) => a.incarnation - b.incarnation),
        ended: [...node.ended, ...ended].sort((a, b) => a.revision - b.revision),
      };
    }
    for (const key of [...this.#instances.keys(), ...this.#ended.keys()]) {
      throw this.#rows.damaged(`${INSTANCE_PREFIX}${key}`, 'belongs to no node');
    }
  }
}

function toEnded(instanceId: string, row: z.output<typeof endedRowSchema>, revision: number): EndedInstance {
  const { ended: reason, endedAtMs, tokenHash, attempt, replacedTokenHashes, drain } = row;
  return {
    instanceId,
    reason,
    tokenHash,
    attempt,
    replacedTokenHashes,
    drain: drain ?? null,
    endedAtMs,
    revision,
  };
}

function toInstance(
  instanceId: string,
  described: z.output<typeof describedSchema>,
  fence: z.output<typeof fenceSchema>,
  revision: number,
): Instance {
  return {
    instanceId,
    endpoint: described.endpoint,
    communicationMode: described.communicationMode,
    endpoints: described.endpoints as Endpoint[] | null,
    healthCheckUrl: described.healthCheckUrl,
    metadata: described.metadata,
    weight: described.weight,
    relay: described.relay,
    heartbeatIntervalMs: described.heartbeatIntervalMs,
    status: described.status,
    silent: described.silent ?? described.status === 'unhealthy',
    failingCheck: described.failingCheck ?? null,
    drain: described.drain ?? null,
    registeredAtMs: described.registeredAtMs,
    tokenHash: fence.tokenHash,
    attempt: fence.attempt,
    replacedTokenHashes: fence.replacedTokenHashes,
    incarnation: described.incarnation ?? revision,
    revision,
  };
}

/** Events show no fence, so the journal keeps none. */
const NO_FENCE = { tokenHash: null, attempt: 0, replacedTokenHashes: NO_HASHES };

function decodeEvent(
  {
    instance,
    before,
    after,
    heir,
    heirs,
    preservation,
    ...rest
  }: z.output<typeof journalRowSchema>['events'][number],
  revision: number,
): EventDraft {
  return {
    ...rest,
    ...(instance === undefined
      ? {}
      : { instance: toInstance(rest.instanceId, instance, NO_FENCE, revision) }),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
    ...(heir === undefined ? {} : { heir }),
    ...(heirs === undefined ? {} : { heirs }),
    ...(preservation === undefined ? {} : { preservation }),
  };
}

function pushTo<Item>(lists: Map<string, Item[]>, key: string, item: Item): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [item]);
  else list.push(item);
}
