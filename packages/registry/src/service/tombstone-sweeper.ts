import type { Clock } from '../clock.js';
import type { Change } from '../domain/change.js';
import { mailboxKey } from '../domain/mail.js';
import { decideInheritance } from '../domain/mail-inheritance.js';
import type { MailQuotas } from '../domain/mail-posting.js';
import { decideTombstoneSweep } from '../domain/tombstone-sweep.js';
import type { CommandQueue } from './command-queue.js';
import type { RegistryState } from './registry-state.js';

/** Nodes that one change rewrites, and changes that one tick makes: what more takes waits for the next. */
const SLICE_NODES = 500;
const SLICES_PER_TICK = 4;
/** Messages that one change moves. */
const SLICE_MESSAGES = 100;
const SLICE_BYTES = 1024 * 1024;
/** When it looks again where the store failed, or the heir has no room for messages. */
const RETRY_MS = 1_000;

export interface TombstoneSweeperOptions {
  readonly state: RegistryState;
  readonly queue: CommandQueue;
  readonly clock: Clock;
  readonly quotas: MailQuotas;
}

/** A dissolved membrane with something left to hand over. */
interface Estate {
  readonly namespace: string;
  readonly id: string;
  /** When it is looked at; of any clock that goes on evenly. */
  dueMs: number;
}

/**
 * Hands over what dissolved membranes leave: rewrites those who still name one, which nobody sees, and moves its
 * messages. Each slice is a change of its own that leaves things right, so it can end anywhere and go on later. The
 * tombstone itself is forgotten with all that is remembered for a day.
 */
export class TombstoneSweeper {
  readonly #options: TombstoneSweeperOptions;
  readonly #estates = new Map<string, Estate>();

  constructor(options: TombstoneSweeperOptions) {
    this.#options = options;
  }

  /** To be called when the state has been loaded. */
  start(): void {
    for (const { namespace, id } of this.#options.state.directory.tombstones()) this.#add(namespace, id);
  }

  /** To be called when a change has been applied. */
  noteChange({ nodes, mail = [] }: Change): void {
    for (const { before, after } of nodes) {
      if (after != null && after.tombstone !== null && before?.tombstone == null) {
        this.#add(after.namespace, after.id);
      }
    }
    const { directory } = this.#options.state;
    for (const { namespace, id, posted } of mail) {
      if (posted.length > 0 && directory.node(namespace, id)?.tombstone != null) this.#add(namespace, id);
    }
  }

  /** A few slices. To be called every tick, while the store can write. */
  async sweep(): Promise<void> {
    const nowMs = this.#options.clock.monotonicMs();
    let slices = 0;
    for (const estate of [...this.#estates.values()]) {
      if (estate.dueMs > nowMs) continue;
      for (let goesOn = true; goesOn; slices += 1) {
        if (slices === SLICES_PER_TICK) return;
        goesOn = await this.#handOver(estate);
      }
    }
  }

  /**
   * Hands over what one dissolved membrane left, so that its id can be registered anew; messages for which the heir
   * has no room stay, for whoever has the name then.
   * @throws MembraneError `store_unavailable`.
   */
  async clear(namespace: string, id: string): Promise<void> {
    while (await this.#rewrite(namespace, id));
    while ((await this.#moveMail(namespace, id)) > 0);
  }

  /** One slice; true where it goes on. */
  async #handOver(estate: Estate): Promise<boolean> {
    const { namespace, id } = estate;
    const { state, clock } = this.#options;
    try {
      if (await this.#rewrite(namespace, id)) return true;
      if ((await this.#moveMail(namespace, id)) > 0) return true;
      const isLeft =
        state.directory.node(namespace, id)?.tombstone != null &&
        (state.mail.box(namespace, id)?.waiting.size ?? 0) > 0;
      if (isLeft) estate.dueMs = clock.monotonicMs() + RETRY_MS;
      else this.#estates.delete(mailboxKey(namespace, id));
    } catch {
      // Not stored, so it is as it was.
      estate.dueMs = clock.monotonicMs() + RETRY_MS;
    }
    return false;
  }

  /** True where it goes on. */
  async #rewrite(namespace: string, id: string): Promise<boolean> {
    const { queue, clock } = this.#options;
    const command = { namespace, id, limit: SLICE_NODES };
    const { outcome } = await queue.submit({
      namespace,
      id,
      decide: (view) => decideTombstoneSweep(view, command, clock.wallMs()),
    });
    return outcome;
  }

  async #moveMail(namespace: string, id: string): Promise<number> {
    const { state, queue, clock, quotas } = this.#options;
    if (state.mail.box(namespace, id) === undefined) return 0;
    const command = { namespace, id, maxMessages: SLICE_MESSAGES, maxBytes: SLICE_BYTES };
    const { outcome } = await queue.submit({
      namespace,
      id,
      bytes: SLICE_BYTES,
      decide: (view) => decideInheritance(view, command, quotas, clock.wallMs()),
    });
    return outcome;
  }

  #add(namespace: string, id: string): void {
    this.#estates.set(mailboxKey(namespace, id), { namespace, id, dueMs: Number.NEGATIVE_INFINITY });
  }
}
