import type { JsonObject } from '@membrane/protocol';
import { LeaseClock, type Clock } from '../clock.js';
import type { Change, EventDraft } from '../domain/change.js';
import {
  EVENT_LOG_MAX_BYTES,
  EventLog,
  type EventLogLimits,
  type LoggedChange,
} from '../domain/event-log.js';
import { LeaseCounts } from '../domain/lease-counts.js';
import {
  EXPIRED_AFTER_INTERVALS,
  extendLease,
  UNHEALTHY_AFTER_INTERVALS,
  type Keeping,
  type Lease,
} from '../domain/lease.js';
import { LeaseTable } from '../domain/lease-table.js';
import { MailboxBook } from '../domain/mailbox-book.js';
import { MembraneDirectory } from '../domain/membrane-directory.js';
import {
  findInstance,
  isSilent,
  stampNode,
  type Instance,
  type MembraneNode,
} from '../domain/membrane-node.js';
import { PlaceTable } from '../domain/place-table.js';
import { PreservedSubtrees } from '../domain/preserved-subtrees.js';
import { RetentionQueue } from '../domain/retention.js';
import type { StateView } from '../domain/state-view.js';
import { SubtreeMarks } from '../domain/subtree-marks.js';
import { TreeAsOf } from '../domain/tree-as-of.js';
import { JOURNAL_LIMIT, type MembraneStore } from '../store/membrane-store.js';
import { RevisionLog, type ShownRevision } from './revision-log.js';
import { StateDecoder } from './state-decoder.js';

/** Rows handled between two turns of the event loop while loading. */
const LOAD_SLICE = 5_000;

export interface RegistryStateOptions {
  readonly clock: Clock;
  readonly tickMs: number;
  /** A renewal of a silent lease: its status has to follow, by a commit. */
  readonly onRecovery: (namespace: string, id: string, instanceId: string) => void;
  /** What tests replace. */
  readonly eventLogLimits?: EventLogLimits | undefined;
}

/** What this registry holds in memory, kept in step: the directory, the leases, the mailboxes, the event log, the retention. */
export class RegistryState {
  readonly directory: MembraneDirectory;
  readonly eventLog: EventLog;
  readonly marks = new SubtreeMarks();
  readonly retention = new RetentionQueue();
  readonly mail = new MailboxBook();
  readonly preserved = new PreservedSubtrees();
  readonly leaseCounts: LeaseCounts;
  /** What commands are decided on. */
  readonly view: StateView;
  readonly leases: LeaseTable;
  readonly #leaseClock: LeaseClock;
  readonly #views = new Set<TreeAsOf>();
  readonly #onRecovery: RegistryStateOptions['onRecovery'];
  #log = new RevisionLog('', []);
  #revision = 0;
  #revisionText: string | undefined;
  #recoveringUntilMs = 0;

  constructor(options: RegistryStateOptions) {
    this.#leaseClock = new LeaseClock(options.clock, options.tickMs);
    const places = new PlaceTable();
    this.directory = new MembraneDirectory(places);
    this.leases = new LeaseTable(places, options.tickMs, 0);
    this.#onRecovery = options.onRecovery;
    const { eventLogLimits = { maxChanges: JOURNAL_LIMIT, maxBytes: EVENT_LOG_MAX_BYTES } } = options;
    this.eventLog = new EventLog(eventLogLimits);
    const { directory, mail } = this;
    this.leaseCounts = new LeaseCounts(directory, places);
    this.view = {
      mail,
      node: (namespace, id) => directory.node(namespace, id),
      childIds: (namespace, id) => directory.childIds(namespace, id),
      graveIds: (namespace, id) => directory.graveIds(namespace, id),
      heightOf: (namespace, id) => directory.heightOf(namespace, id),
    };
  }

  /** Names the history that revisions belong to. */
  get logId(): string {
    return this.#log.id;
  }

  /** False for a revision of another history: nothing follows from it here. */
  owns(shown: ShownRevision): boolean {
    return this.#log.owns(shown);
  }

  get revision(): number {
    return this.#revision;
  }

  /** `LOG:REVISION`, made once a change: every answer carries it. */
  get revisionText(): string {
    return (this.#revisionText ??= `${this.#log.id}:${this.#revision}`);
  }

  /** True while leases run the first term that they were given at load. */
  get recovering(): boolean {
    return this.leaseNowMs() < this.#recoveringUntilMs;
  }

  /** Also notices stalls: to be read at every heartbeat and every tick. */
  leaseNowMs(): number {
    return this.#leaseClock.nowMs();
  }

  /** To be called every tick. */
  syncWall(): void {
    this.#leaseClock.syncWall();
  }

  toWallMs(leaseMs: number): number {
    return this.#leaseClock.toWallMs(leaseMs);
  }

  recover(namespace: string, id: string, instanceId: string): void {
    this.#onRecovery(namespace, id, instanceId);
  }

  /** Keeps a lease beyond its end. */
  keep(lease: Lease, keeping: Keeping): void {
    if (lease.keeping === undefined) this.leaseCounts.addHeld(lease.namespace, lease.id, 1);
    lease.keeping = keeping;
    this.leases.restore(lease);
  }

  /**
   * Fills the state from the store; `random` gives 0 to 1. Who was active gets a full term, who was unhealthy three
   * intervals, each spread over one interval, so that what was silent during a restart does not end all at once.
   * Returns the entries that are not the state's own.
   * @throws OperatorError where the store cannot be read.
   */
  async load(
    store: MembraneStore,
    random: () => number,
    signal?: AbortSignal,
  ): Promise<Map<string, JsonObject>> {
    const contents = await store.load();
    const decoder = new StateDecoder(store.location ?? `the ${store.kind} store`);
    const others = new Map<string, JsonObject>();
    for await (const page of contents.entries) {
      for (const entry of page) if (!decoder.add(entry)) others.set(entry.key, entry.value as JsonObject);
      await new Promise(setImmediate);
      signal?.throwIfAborted();
    }
    const nowMs = this.leaseNowMs();
    const nodes = decoder.nodes();
    for (let start = 0; start < nodes.length; start += LOAD_SLICE) {
      for (const node of nodes.slice(start, start + LOAD_SLICE)) this.#loadNode(node, nowMs, random);
      await new Promise(setImmediate);
    }
    // Counted when the whole tree is there: whose numbers go where may depend on any of its graves.
    for (let start = 0; start < nodes.length; start += LOAD_SLICE) {
      const slice = nodes.slice(start, start + LOAD_SLICE);
      this.leaseCounts.apply(slice.map((after) => ({ before: undefined, after })));
      await new Promise(setImmediate);
    }
    for (const subtree of decoder.preserved()) this.preserved.apply(subtree);
    this.retention.sort();
    const { mails, letters } = decoder.mail();
    for (let start = 0; start < mails.length; start += LOAD_SLICE) {
      this.mail.load(mails.slice(start, start + LOAD_SLICE), []);
      await new Promise(setImmediate);
    }
    this.mail.load([], letters);
    await this.#loadJournal(decoder.journal(), contents.revision);
    this.#log = new RevisionLog(contents.logId, contents.runs);
    this.#revision = contents.revision;
    return others;
  }

  /** The tree as it is now, kept as it is until it is closed. */
  openView(): TreeAsOf {
    const view = new TreeAsOf(this.view);
    this.#views.add(view);
    return view;
  }

  closeView(view: TreeAsOf): void {
    this.#views.delete(view);
  }

  /** A commit that changed nothing of the state. */
  noteRevision(revision: number): void {
    this.#revision = revision;
    this.#revisionText = undefined;
  }

  /** A durable change becomes visible. */
  apply({ atMs, nodes, events, mail, preservation }: Change, revision: number): void {
    const nowMs = this.leaseNowMs();
    const stampedNodes: MembraneNode[] = [];
    for (const view of this.#views) view.note(nodes);
    for (const { before, after } of nodes) {
      const stamped = after === undefined ? undefined : stampNode(after, revision);
      if (stamped !== undefined) stampedNodes.push(stamped);
      this.directory.apply({ before, after: stamped });
      this.#applyLeases(before, stamped, nowMs);
      if (stamped !== undefined) this.#remember(stamped, before);
    }
    this.leaseCounts.apply(nodes);
    if (preservation !== undefined) this.preserved.apply(preservation);
    for (const event of events) this.marks.note(event, revision);
    for (const change of mail ?? []) this.mail.apply(change);
    this.eventLog.append({ revision, atMs, events: events.map((event) => stampEvent(event, stampedNodes)) });
    this.#revision = revision;
    this.#revisionText = undefined;
  }

  async #loadJournal(journal: readonly LoggedChange[], revision: number): Promise<void> {
    // What went before the first that is left is not known.
    const floor = (journal[0]?.revision ?? revision + 1) - 1;
    this.eventLog.begin(floor);
    this.marks.begin(floor);
    for (let start = 0; start < journal.length; start += LOAD_SLICE) {
      for (const change of journal.slice(start, start + LOAD_SLICE)) {
        this.eventLog.append({ ...change, events: change.events.map((event) => this.#shareInstance(event)) });
        for (const event of change.events) this.marks.note(event, change.revision);
      }
      await new Promise(setImmediate);
    }
  }

  /** Memory holds an instance once, where it has not changed since. */
  #shareInstance(event: EventDraft): EventDraft {
    const { namespace, id, instanceId, instance } = event;
    const live = findInstance(this.directory.node(namespace, id), instanceId);
    return live === undefined || live.revision !== instance?.revision ? event : { ...event, instance: live };
  }

  #loadNode(node: MembraneNode, nowMs: number, random: () => number): void {
    const { namespace, id } = node;
    this.directory.apply({ before: undefined, after: node });
    this.#remember(node, undefined);
    for (const instance of node.instances) {
      const intervalMs = instance.heartbeatIntervalMs;
      const silentMs = isSilent(instance) ? UNHEALTHY_AFTER_INTERVALS * intervalMs : 0;
      const renewedAtMs = nowMs + random() * intervalMs - silentMs;
      this.leases.begin(namespace, id, instance, renewedAtMs);
      this.#recoveringUntilMs = Math.max(
        this.#recoveringUntilMs,
        renewedAtMs + EXPIRED_AFTER_INTERVALS * intervalMs,
      );
    }
  }

  #applyLeases(before: MembraneNode | undefined, after: MembraneNode | undefined, nowMs: number): void {
    const node = after ?? before;
    if (node === undefined) return;
    const { namespace, id } = node;
    for (const { instanceId } of before?.instances ?? []) {
      if (findInstance(after, instanceId) !== undefined) continue;
      this.#endKeeping(this.leases.get(namespace, id, instanceId));
      this.leases.end(namespace, id, instanceId);
    }
    for (const instance of after?.instances ?? []) {
      const previous = findInstance(before, instance.instanceId);
      if (previous === instance) continue;
      const lease = this.leases.get(namespace, id, instance.instanceId);
      if (!isSilent(instance)) this.#endKeeping(lease);
      if (lease === undefined || previous?.incarnation !== instance.incarnation) {
        this.leases.begin(namespace, id, instance, nowMs);
        continue;
      }
      // A higher attempt is another call of the registrant; any other change is the registry's own.
      if (previous.attempt !== instance.attempt) extendLease(lease, nowMs);
      this.leases.update(lease, instance);
      // Only where it is told to be silent just now: the first term after a restart looks like a renewal.
      if (!isSilent(previous)) this.#recoverIfRenewed(namespace, id, instance, lease.renewedAtMs, nowMs);
    }
  }

  /** It is back, or gone. */
  #endKeeping(lease: Lease | undefined): void {
    if (lease?.keeping === undefined) return;
    lease.keeping = undefined;
    this.leaseCounts.addHeld(lease.namespace, lease.id, -1);
  }

  /** It may have renewed while the commit that calls it unhealthy was on its way. */
  #recoverIfRenewed(
    namespace: string,
    id: string,
    instance: Instance,
    renewedAtMs: number,
    nowMs: number,
  ): void {
    const silentMs = nowMs - renewedAtMs;
    if (isSilent(instance) && silentMs < UNHEALTHY_AFTER_INTERVALS * instance.heartbeatIntervalMs) {
      this.recover(namespace, id, instance.instanceId);
    }
  }

  #remember(node: MembraneNode, before: MembraneNode | undefined): void {
    const { namespace, id } = node;
    if (node.vacantSinceMs !== null && before?.vacantSinceMs !== node.vacantSinceMs) {
      this.retention.add({ namespace, id }, node.vacantSinceMs);
    }
    for (const ended of node.ended) {
      if (before?.ended.includes(ended) !== true) this.retention.add({ namespace, id }, ended.endedAtMs);
    }
  }
}

/** The event with its instance as the directory holds it, so that memory holds it once. */
function stampEvent(event: EventDraft, nodes: readonly MembraneNode[]): EventDraft {
  if (event.instance === undefined) return event;
  const node = nodes.find(({ namespace, id }) => namespace === event.namespace && id === event.id);
  const instance = findInstance(node, event.instanceId);
  return instance === undefined ? event : { ...event, instance };
}
