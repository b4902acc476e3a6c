import { isMembraneError, MembraneError } from '@membrane/protocol';
import type { Change, Decision } from '../domain/change.js';
import { StateOverlay } from '../domain/state-overlay.js';
import type { StateView } from '../domain/state-view.js';
import type { MembraneStore } from '../store/membrane-store.js';
import { encodeChange } from './state-encoder.js';

/** Commands that may wait while the store is slow; more are refused, so that memory is not what gives way. */
const MAX_WAITING_COMMANDS = 20_000;
/** Commands in one transaction: they are decided, and applied, in one turn each. */
const MAX_GROUP_SIZE = 512;
/** What they may write, as far as they tell: a large transaction stalls everybody else. */
export const MAX_GROUP_BYTES = 4 * 1024 * 1024;
/** How long a caller should wait before trying again. */
const RETRY_AFTER_MS = 1_000;

export interface Command<Outcome> {
  /** The node it is about. */
  readonly namespace: string;
  readonly id: string;
  /** What it writes, where that is much. */
  readonly bytes?: number;
  /** Its group's commit may still fail: what it does besides deciding must be undone when `submit` rejects. */
  decide(view: StateView): Decision<Outcome>;
}

/** What a command came to. `revision` is that of its change; undefined where it changed nothing. */
export interface CommandResult<Outcome> {
  readonly outcome: Outcome;
  readonly revision: number | undefined;
}

interface Waiting {
  readonly command: Command<unknown>;
  resolve(result: CommandResult<unknown>): void;
  reject(error: Error): void;
}

interface Decided {
  readonly waiting: Waiting;
  readonly decision: Decision<unknown>;
}

export interface CommandQueueOptions {
  readonly store: MembraneStore;
  readonly state: StateView;
  /** Makes a durable change visible; called in revision order. */
  apply(change: Change, revision: number): void;
  /** The store failed, or works again. */
  onStoreHealth(error: Error | undefined): void;
}

/**
 * Makes any number of requests at once safe: commands are decided in order, each on the state that those before it
 * leave; a group of them becomes one store transaction, is applied, and only then answered. A commit that fails
 * leaves the state as it was, and every caller of the group gets `store_unavailable`.
 */
export class CommandQueue {
  readonly #options: CommandQueueOptions;
  #waiting: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: CommandQueueOptions) {
    this.#options = options;
  }

  /** Rejects with the refusal of the command, or with `store_unavailable`. */
  submit<Outcome>(command: Command<Outcome>): Promise<CommandResult<Outcome>> {
    if (this.#waiting.length >= MAX_WAITING_COMMANDS) {
      return Promise.reject(
        new MembraneError('store_unavailable', `${MAX_WAITING_COMMANDS} changes wait for the store already`, {
          details: { retryAfterMs: RETRY_AFTER_MS },
        }),
      );
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({
        command,
        resolve: resolve as (result: CommandResult<unknown>) => void,
        reject,
      });
      this.#running ??= this.#run();
    });
  }

  /** Finds out whether the store can write, by way of `onStoreHealth`. */
  async probe(): Promise<void> {
    this.#running ??= this.#run(true);
    await this.#running;
  }

  /** Resolves when nothing waits. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(probing = false): Promise<void> {
    // Requests that arrived together are read in one turn of the event loop: let them form a group.
    await new Promise(setImmediate);
    // What waits is as good a proof as a commit of nothing.
    if (probing && this.#waiting.length === 0) await this.#commit([]).catch(() => undefined);
    while (this.#waiting.length > 0) {
      await this.#runGroup();
      // A store that writes at once must not keep everybody else waiting until nothing is left.
      if (this.#waiting.length > 0) await new Promise(setImmediate);
    }
    this.#running = undefined;
  }

  async #runGroup(): Promise<void> {
    const group = this.#decideGroup();
    const changes = group.flatMap(({ decision }) => (decision.kind === 'changed' ? [decision.change] : []));
    let revisions: readonly { readonly revision: number }[] = [];
    if (changes.length > 0) {
      try {
        revisions = await this.#commit(changes);
      } catch (cause) {
        const error = new MembraneError(
          'store_unavailable',
          'the change could not be stored, nothing was changed',
          {
            cause,
            details: { retryAfterMs: RETRY_AFTER_MS },
          },
        );
        for (const { waiting } of group) waiting.reject(error);
        return;
      }
    }
    let next = 0;
    for (const { waiting, decision } of group) {
      if (decision.kind === 'refused') {
        waiting.reject(decision.error);
      } else if (decision.kind === 'unchanged') {
        waiting.resolve({ outcome: decision.outcome, revision: undefined });
      } else {
        const revision = revisions[next]?.revision;
        next += 1;
        if (revision === undefined) throw new Error('the store gave fewer revisions than it took changes');
        this.#options.apply(decision.change, revision);
        waiting.resolve({ outcome: decision.outcome, revision });
      }
    }
  }

  /**
   * The group ends before a command that would change a node which it has changed: what the first leaves has no
   * revision yet for the second to build on.
   */
  #decideGroup(): Decided[] {
    const overlay = new StateOverlay(this.#options.state);
    const group: Decided[] = [];
    let bytes = 0;
    for (const waiting of this.#waiting) {
      const { command } = waiting;
      if (group.length === MAX_GROUP_SIZE || overlay.isPending(command.namespace, command.id)) break;
      bytes += command.bytes ?? 0;
      if (group.length > 0 && bytes > MAX_GROUP_BYTES) break;
      const decision = decideSafely(command, overlay);
      if (decision.kind === 'changed') {
        // A cascade reaches further than its own node; it is decided again in the next group.
        const nodes = decision.change.nodes.map(({ before, after }) => after ?? before);
        if (nodes.some((node) => node !== undefined && overlay.isPending(node.namespace, node.id))) break;
        overlay.add(decision.change);
      }
      group.push({ waiting, decision });
    }
    this.#waiting = this.#waiting.slice(group.length);
    return group;
  }

  async #commit(changes: readonly Change[]): Promise<readonly { readonly revision: number }[]> {
    try {
      const revisions = await this.#options.store.commit(changes.map(encodeChange));
      this.#options.onStoreHealth(undefined);
      return revisions;
    } catch (error) {
      this.#options.onStoreHealth(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  }
}

/** One command that cannot be decided must not take its group along. */
function decideSafely(command: Command<unknown>, view: StateView): Decision<unknown> {
  try {
    return command.decide(view);
  } catch (cause) {
    if (isMembraneError(cause)) return { kind: 'refused', error: cause };
    return {
      kind: 'refused',
      error: new MembraneError('internal_error', 'the registry failed to decide this', { cause }),
    };
  }
}
