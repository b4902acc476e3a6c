import type { HeldTexts } from './held-texts.js';

/** The connection of a watcher. */
export interface WatchSink {
  /** Bytes it was given that the other side has not taken. */
  readonly bufferedBytes: number;
  /** False: it wants no more until it has told that it is drained. */
  write(data: Buffer): boolean;
  end(): void;
  /** Cuts it, whatever is left unsent. */
  destroy(): void;
}

export interface WatcherOptions {
  readonly sink: WatchSink;
  /** What waits for all watchers. */
  readonly held: HeldTexts;
  readonly maxBufferBytes: number;
  /** It is further behind than its buffer reaches; what waited is dropped. */
  readonly onOverflow: () => void;
  /** It takes more again. `missed`: it overflowed meanwhile. */
  readonly onDrained: (missed: boolean) => void;
}

/** One who watches, and what waits for it: never more than its limit. */
export class Watcher {
  readonly #options: WatcherOptions;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isBlocked = false;
  #hasMissed = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /** True while it takes nothing more. */
  get isBlocked(): boolean {
    return this.#isBlocked;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  send(data: Buffer): void {
    const { sink, maxBufferBytes } = this.#options;
    if (this.#hasMissed) return;
    if (!this.#isBlocked) {
      this.#isBlocked = !sink.write(data);
    } else if (this.#heldBytes + data.length + sink.bufferedBytes > maxBufferBytes) {
      this.drop();
    } else {
      this.#held.push(data);
      this.#heldBytes += data.length;
      this.#options.held.add(this, data);
    }
  }

  /** Gives up what waits for it: it is to be told so when it reads again. */
  drop(): void {
    this.release();
    this.#hasMissed = true;
    this.#options.onOverflow();
  }

  /** To be called when the sink takes more again. */
  drained(): void {
    this.#isBlocked = false;
    const missed = this.#hasMissed;
    this.#hasMissed = false;
    for (let data = this.#held.shift(); data !== undefined; data = this.#held.shift()) {
      this.#heldBytes -= data.length;
      this.#options.held.remove(this, [data]);
      if (!this.#options.sink.write(data)) {
        this.#isBlocked = true;
        return;
      }
    }
    this.#options.onDrained(missed);
  }

  /** Ends its stream; one that does not read is cut. */
  end(): void {
    this.release();
    if (this.#isBlocked) this.#options.sink.destroy();
    else this.#options.sink.end();
  }

  /** What waits for it goes: nobody will read it. */
  release(): void {
    const texts = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    this.#options.held.remove(this, texts);
  }
}
