import type { ListQuery, MembraneRecord, RegistrationRequest } from '@membrane/protocol';
import type { Change } from '../../src/domain/change.js';
import type { EventLogLimits } from '../../src/domain/event-log.js';
import type { MailQuotas } from '../../src/domain/mail-posting.js';
import { CommandQueue } from '../../src/service/command-queue.js';
import { LeaseTicker } from '../../src/service/lease-ticker.js';
import { MailboxService } from '../../src/service/mailbox-service.js';
import { MailboxSweeper } from '../../src/service/mailbox-sweeper.js';
import { RegistryService } from '../../src/service/registry-service.js';
import { RegistryState } from '../../src/service/registry-state.js';
import { SelfPreservation } from '../../src/service/self-preservation.js';
import { TombstoneSweeper } from '../../src/service/tombstone-sweeper.js';
import { TreeService } from '../../src/service/tree-service.js';
import { MemoryMembraneStore } from '../../src/store/memory-membrane-store.js';
import type { ChangeSet, MembraneStore, StoreContents } from '../../src/store/membrane-store.js';
import { FakeClock } from './fake-clock.js';

export const TICK_MS = 100;

/** A store that fails when it is told to. */
export class FlakyStore implements MembraneStore {
  readonly kind = 'flaky';
  readonly location = null;
  readonly #store: MembraneStore;
  isFailing = false;

  constructor(store: MembraneStore = new MemoryMembraneStore()) {
    this.#store = store;
  }

  load(): Promise<StoreContents> {
    return this.#store.load();
  }

  commit(changeSets: readonly ChangeSet[]): Promise<readonly { readonly revision: number }[]> {
    return this.isFailing ? Promise.reject(new Error('the disk is full')) : this.#store.commit(changeSets);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Small, so that tests can fill them. */
export const QUOTAS = { maxMessages: 10, maxBytes: 64 * 1024, maxTotalBytes: 160 * 1024 };

/** A registry without HTTP, on a clock that the test moves. */
export class RegistryCore {
  readonly clock: FakeClock;
  readonly store: FlakyStore;
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly ticker: LeaseTicker;
  readonly preservation: SelfPreservation;
  readonly service: RegistryService;
  readonly mailbox: MailboxService;
  readonly sweeper: MailboxSweeper;
  readonly tombstones: TombstoneSweeper;
  readonly tree: TreeService;
  isWritable = true;
  /** Told of every change that was applied. */
  readonly listeners: ((change: Change, revision: number) => void)[] = [];
  readonly #quotas: MailQuotas;
  readonly #eventLogLimits: EventLogLimits | undefined;

  constructor(
    clock = new FakeClock(),
    store = new FlakyStore(),
    quotas: MailQuotas = QUOTAS,
    eventLogLimits?: EventLogLimits,
    isPreserving = true,
  ) {
    this.clock = clock;
    this.#quotas = quotas;
    this.#eventLogLimits = eventLogLimits;
    this.store = store;
    this.state = new RegistryState({
      clock,
      tickMs: TICK_MS,
      onRecovery: (namespace, id, instanceId) => {
        this.ticker.recover(namespace, id, instanceId);
      },
      eventLogLimits,
    });
    this.queue = new CommandQueue({
      store,
      state: this.state.view,
      apply: (change, revision) => {
        this.state.apply(change, revision);
        this.mailbox.noteChange(change);
        this.tombstones.noteChange(change);
        for (const listener of this.listeners) listener(change, revision);
      },
      onStoreHealth: (error) => {
        this.isWritable = error === undefined;
      },
    });
    this.preservation = new SelfPreservation({
      state: this.state,
      queue: this.queue,
      clock,
      isEnabled: isPreserving,
    });
    this.ticker = new LeaseTicker({
      state: this.state,
      queue: this.queue,
      clock,
      tickMs: TICK_MS,
      isStoreWritable: () => this.isWritable,
      preservation: this.preservation,
      sweepOthers: async () => {
        await Promise.all([this.sweeper.sweep(), this.tombstones.sweep()]);
      },
      onError: (error) => {
        throw error;
      },
    });
    this.mailbox = new MailboxService({ state: this.state, queue: this.queue, clock, quotas });
    this.sweeper = new MailboxSweeper({
      state: this.state,
      queue: this.queue,
      clock,
      quotas,
      hiddenForMs: (mail) => this.mailbox.hiddenForMs(mail),
    });
    this.tombstones = new TombstoneSweeper({ state: this.state, queue: this.queue, clock, quotas });
    this.tree = new TreeService({ state: this.state, queue: this.queue, clock });
    this.service = new RegistryService({
      state: this.state,
      queue: this.queue,
      clock,
      tombstones: this.tombstones,
      heartbeatIntervalMs: 30_000,
    });
  }

  /** Loads what the store holds; every lease gets half an interval of spread. */
  async load(): Promise<this> {
    await this.state.load(this.store, () => 0.5);
    this.tombstones.start();
    return this;
  }

  /** The same data, in a registry that has just started. */
  restart(isPreserving = this.preservation.isEnabled): Promise<RegistryCore> {
    const { clock, store } = this;
    return new RegistryCore(clock, store, this.#quotas, this.#eventLogLimits, isPreserving).load();
  }

  /** Time passes, with a tick when it is due. */
  async tick(times = 1): Promise<void> {
    for (let count = 0; count < times; count += 1) {
      this.clock.advance(TICK_MS);
      await this.ticker.tick();
      await this.queue.idle();
    }
  }

  async pass(ms: number): Promise<void> {
    await this.tick(Math.round(ms / TICK_MS));
  }

  /** Everything listed, oldest id first. */
  list(): MembraneRecord[] {
    return [...this.service.listAll({}, [])].flat();
  }

  /** A page of the list. */
  listPage(query: ListQuery): { records: MembraneRecord[]; nextCursor: string | undefined } {
    const records: MembraneRecord[] = [];
    const slices = this.service.listPage(query, []);
    for (let slice = slices.next(); ; slice = slices.next()) {
      if (slice.done === true) return { records, nextCursor: slice.value };
      records.push(...slice.value);
    }
  }

  /** The status of an id, or undefined where it is not there. */
  statusOf(id: string): string | undefined {
    return this.list().find((record) => record.id === id)?.status;
  }
}

export function registration(id: string, rest: Partial<RegistrationRequest> = {}): RegistrationRequest {
  return {
    id,
    endpoint: `/run/${id}`,
    communication_mode: 'shared-volume',
    heartbeat_interval_ms: 1_000,
    ...rest,
  };
}

/** The code that a call is refused with. */
export async function codeOf(call: Promise<unknown> | (() => unknown)): Promise<string> {
  try {
    await (typeof call === 'function' ? call() : call);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'done';
}
