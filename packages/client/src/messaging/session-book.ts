import type { Clock } from '../clock.js';
import { OrderedStream, type Held } from './ordered-stream.js';
import { SequenceWindow } from './sequence-window.js';

/** Sessions, and streams of one session, that are remembered; those with messages here stay. */
const MAX_SESSIONS = 10_000;
const MAX_STREAMS = 10_000;

interface Session<Entry extends Held> {
  readonly window: SequenceWindow;
  readonly streams: Map<string, OrderedStream<Entry>>;
}

/** What is known of the senders: by session, which is one run of a process. The least recently heard of are forgotten. */
export class SessionBook<Entry extends Held> {
  readonly #parts: { readonly clock: Clock; readonly begin: (entry: Entry) => void };
  readonly #sessions = new Map<string, Session<Entry>>();
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
    const known = streams.get(name);
    if (known !== undefined) return known;
    if (streams.size >= MAX_STREAMS) forgetFirst(streams, (stream) => stream.isIdle);
    const stream = new OrderedStream<Entry>(first, this.#parts);
    streams.set(name, stream);
    return stream;
  }

  known(session: string, name: string): OrderedStream<Entry> | undefined {
    return this.#sessions.get(session)?.streams.get(name);
  }

  #session(name: string): Session<Entry> {
    if (name === this.#lastName && this.#last !== undefined) return this.#last;
    const known = this.#sessions.get(name);
    if (known === undefined && this.#sessions.size >= MAX_SESSIONS)
      forgetFirst(this.#sessions, isIdle<Entry>);
    const session = known ?? { window: new SequenceWindow(), streams: new Map() };
    this.#sessions.delete(name);
    this.#sessions.set(name, session);
    this.#lastName = name;
    this.#last = session;
    return session;
  }
}

function isIdle<Entry extends Held>({ window, streams }: Session<Entry>): boolean {
  return !window.isBusy && [...streams.values()].every((stream) => stream.isIdle);
}

/** The first that can be. */
function forgetFirst<Value>(map: Map<string, Value>, canBeForgotten: (value: Value) => boolean): void {
  for (const [name, value] of map) {
    if (!canBeForgotten(value)) continue;
    map.delete(name);
    return;
  }
}
