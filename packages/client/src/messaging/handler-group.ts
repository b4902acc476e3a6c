import type { KnownEnvelope, Message } from './message.js';

/** Handles a message. What it returns, if it is JSON, is the reply; where it throws, the message is tried again. */
export type MessageHandler = (message: Message) => unknown;

export interface Wish {
  readonly type: string | undefined;
  readonly stream: string | undefined;
}

/** Work that waits for its turn at a handler. */
export interface Job {
  readonly envelope: KnownEnvelope;
  /** Calls back when it is over. */
  run(handler: MessageHandler, onOver: () => void): void;
  /** Nobody asks for it, or not any more. */
  orphan(): void;
}

interface Member {
  readonly handler: MessageHandler;
  readonly concurrency: number;
  running: number;
}

/** The handlers that wish for the same: they take turns, and what finds all of them busy waits for the first free one. */
export class HandlerGroup {
  readonly wish: Wish;
  readonly #members: Member[] = [];
  #waiting: Job[] = [];
  #turn = 0;
  #isStarting = false;

  constructor(wish: Wish) {
    this.wish = wish;
  }

  get isEmpty(): boolean {
    return this.#members.length === 0;
  }

  /** How closely it asks for such messages; -1: not at all. A type tells more than a stream. */
  fit({ type, stream }: KnownEnvelope): number {
    const { wish } = this;
    if (wish.type !== undefined && wish.type !== type) return -1;
    if (wish.stream !== undefined && wish.stream !== stream) return -1;
    return (wish.type === undefined ? 0 : 2) + (wish.stream === undefined ? 0 : 1);
  }

  /** @returns what takes it out again. */
  add(handler: MessageHandler, concurrency: number): () => void {
    const member = { handler, concurrency, running: 0 };
    this.#members.push(member);
    this.#startWaiting();
    return () => {
      const index = this.#members.indexOf(member);
      if (index >= 0) this.#members.splice(index, 1);
    };
  }

  schedule(job: Job): void {
    const member = this.#findFree();
    if (member === undefined) this.#waiting.push(job);
    else this.#start(job, member);
  }

  /** Takes back what has not begun. */
  clear(): readonly Job[] {
    const waiting = this.#waiting;
    this.#waiting = [];
    return waiting;
  }

  #start(job: Job, member: Member): void {
    member.running += 1;
    job.run(member.handler, () => {
      member.running -= 1;
      this.#startWaiting();
    });
  }

  #startWaiting(): void {
    // A handler may return at once: the loop takes the next one, in place of a call within a call.
    if (this.#isStarting) return;
    this.#isStarting = true;
    while (this.#waiting.length > 0) {
      const member = this.#findFree();
      const job = member === undefined ? undefined : this.#waiting.shift();
      if (member === undefined || job === undefined) break;
      this.#start(job, member);
    }
    this.#isStarting = false;
  }

  #findFree(): Member | undefined {
    const { length } = this.#members;
    for (let step = 1; step <= length; step += 1) {
      const index = (this.#turn + step) % length;
      const member = this.#members[index];
      if (member === undefined || member.running >= member.concurrency) continue;
      this.#turn = index;
      return member;
    }
    return undefined;
  }
}
