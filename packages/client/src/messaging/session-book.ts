import type { Clock } from '../clock.js';
import { OrderedStream, type Held } from './ordered-stream.js';
import { SequenceWindow } from './sequence-window.js';

/** Sessions, and streams of all of them together, that are remembered; those with messages here stay. */
const MAX_SESSIONS = 10_000;
const MAX_STREAMS = 100_000;

interface Session<Entry extends Held> {
  readonly window: SequenceWindow;
  readonly streams: Map<string, OrderedStream<Entry>>;
}

/** What is known of the senders: by session, which is one run of a process. The least recently heard of are forgotten. */
export class SessionBook<Entry extends Held> {
  readonly #parts: { readonly clock: Clock; readonly begin: (entry: Entry) => void };
  /** The least recently heard of first, as their streams. */
  readonly #sessions = new Map<string, Session<Entry>>();
  #streams = 0;
  #lastName: string | undefined;
  #last: Session<Entry> | undefined;

  constructor(parts: { readonly clock: Clock; readonly begin: (entry: Entry) => void }) {
    this.#parts = parts;
  }

  window(session: string): SequenceWindow {
    return this.#session(session).window;
  }

  /** `first`: where it begins, if nothing is known of it. */
  stream(session: string, name: string, first: number): OrderedStream<Entry> {
    const { streams } = this.#session(session);
    let stream = streams.get(name);
    if (stream === undefined) {
      if (this.#streams >= MAX_STREAMS) this.#forgetStream();
      stream = new OrderedStream<Entry>(first, this.#parts);
      this.#streams += 1;
    } else if (streams.size > 1) streams.delete(name);
    streams.set(name, stream);
    return stream;
  }

  known(session: string, name: string): OrderedStream<Entry> | undefined {
    return this.#sessions.get(session)?.streams.get(name);
  }

  #session(name: string): Session<Entry> {
    if (name === this.#lastName && this.#last !== undefined) return this.#last;
    const known = this.#sessions.get(name);
    if (known === undefined && this.#sessions.size >= MAX_SESSIONS) this.#forgetSession();
    const session = known ?? { window: new SequenceWindow(), streams: new Map() };
    this.#sessions.delete(name);
    this.#sessions.set(name, session);
    this.#lastName = name;
    this.#last = session;
    return session;
  }

  #forgetSession(): void {
    for (const [name, { window, streams }] of this.#sessions) {
      if (window.isBusy || ![...streams.values()].every((stream) => stream.isIdle)) continue;
      this.#sessions.delete(name);
      this.#streams -= streams.size;
      return;
    }
  }

  #forgetStream(): void {
    for (const { streams } of this.#sessions.values()) {
      for (const [name, stream] of streams) {
        if (!stream.isIdle) continue;
        streams.delete(name);
        this.#streams -= 1;
        return;
      }
    }
  }
}
