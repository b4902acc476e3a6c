import { LIMITS, type Envelope } from '@membrane/protocol';

export type DeadLetterPlaceName = 'mailbox' | 'shared-volume' | 'outbox';

/** A message that failed for good, and is kept for somebody to look at. */
export interface DeadLetterInfo {
  readonly place: DeadLetterPlaceName;
  readonly messageId: string;
  /** An error code: `expired`, `handler_failed`, `not_delivered`, what a receiver said. */
  readonly code: string;
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly diedAtMs: number;
  /** Undefined where it cannot be read. */
  readonly envelope: Envelope | undefined;
}

export interface DeadLetterChange {
  /** Those to change; without it, all. Ids that are not there are passed over. */
  readonly messageIds?: readonly string[] | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One place that keeps dead letters. */
export interface DeadLetterPlace {
  readonly place: DeadLetterPlaceName;
  /** The oldest so many. */
  list(options: { limit: number; signal?: AbortSignal | undefined }): Promise<DeadLetterInfo[]>;
  /** Has them delivered once more, as messages with an hour left. Returns how many. */
  requeue(change: DeadLetterChange): Promise<number>;
  discard(change: DeadLetterChange): Promise<number>;
}

export interface DeadLetterQuery {
  /** The oldest so many; 100 unless given, {@link LIMITS.maxMailboxBatch} at most. */
  readonly limit?: number | undefined;
  /** In this place alone. */
  readonly place?: DeadLetterPlaceName | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_DEAD_LETTER_LIMIT = 100;

/**
 * The dead letters of a client, wherever they are. A place that cannot be asked (the registry is away) fails the call,
 * after all others did their work: what is missing must not look like nothing. `place` leaves it out.
 */
export class DeadLetters {
  readonly #places: () => Promise<readonly DeadLetterPlace[]>;

  /** @param places asked for at each call, since a client gets and loses them */
  constructor(places: () => Promise<readonly DeadLetterPlace[]>) {
    this.#places = places;
  }

  /**
   * The oldest first.
   * @throws MembraneError `registry_unreachable` and others of the registry; `store_unavailable` for a directory that
   * cannot be read.
   */
  async list({ limit = DEFAULT_DEAD_LETTER_LIMIT, place, signal }: DeadLetterQuery = {}): Promise<
    DeadLetterInfo[]
  > {
    const most = Math.min(limit, LIMITS.maxMailboxBatch);
    const lists = await this.#ask(place, (each) => each.list({ limit: most, signal }));
    return lists
      .flat()
      .sort((left, right) => left.diedAtMs - right.diedAtMs)
      .slice(0, most);
  }

  /** @returns how many are on their way again. @throws as `list`, and `mailbox_full`. */
  requeue(change: DeadLetterChange & Pick<DeadLetterQuery, 'place'> = {}): Promise<number> {
    return this.#change(change.place, (each) => each.requeue(change));
  }

  /** @returns how many are gone. @throws as `list`. */
  discard(change: DeadLetterChange & Pick<DeadLetterQuery, 'place'> = {}): Promise<number> {
    return this.#change(change.place, (each) => each.discard(change));
  }

  async #change(
    place: DeadLetterPlaceName | undefined,
    work: (place: DeadLetterPlace) => Promise<number>,
  ): Promise<number> {
    const counts = await this.#ask(place, work);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #ask<Answer>(
    place: DeadLetterPlaceName | undefined,
    work: (place: DeadLetterPlace) => Promise<Answer>,
  ): Promise<Answer[]> {
    const places = await this.#places();
    const chosen = places.filter((each) => place === undefined || each.place === place);
    const settled = await Promise.allSettled(chosen.map(work));
    return settled.map((result) => {
      if (result.status === 'fulfilled') return result.value;
      throw result.reason as Error;
    });
  }
}
