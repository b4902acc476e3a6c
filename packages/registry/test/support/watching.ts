import type { WatchEvent } from '@membrane/protocol';
import type { WatchSink } from '../../src/service/watcher.js';
import { WatchHub, type WatchHubOptions } from '../../src/service/watch-hub.js';
import { WorkSlices } from '../../src/service/work-slices.js';
import type { RegistryCore } from './registry-core.js';

/** One server-sent event. */
export interface Heard {
  readonly name: string | undefined;
  readonly data: WatchEvent;
  /** Absent unless it ends a batch. */
  readonly id: string | undefined;
}

/** Reads server-sent events out of a text that comes in pieces. */
export class EventStreamReader {
  readonly heard: Heard[] = [];
  retryMs: number | undefined;
  #rest = '';

  add(text: string): Heard[] {
    const parts = (this.#rest + text).split('\n\n');
    this.#rest = parts.pop() ?? '';
    const added = parts.flatMap((part) => this.#read(part));
    this.heard.push(...added);
    return added;
  }

  #read(part: string): Heard[] {
    const fields = new Map(
      part
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [name = '', ...rest] = line.split(': ');
          return [name, rest.join(': ')] as const;
        }),
    );
    const retry = fields.get('retry');
    if (retry !== undefined) this.retryMs = Number(retry);
    const data = fields.get('data');
    if (data === undefined) return [];
    return [{ name: fields.get('event'), data: JSON.parse(data) as WatchEvent, id: fields.get('id') }];
  }
}

/** A connection that reads when it is told to. */
export class FakeSink implements WatchSink {
  readonly reader = new EventStreamReader();
  isPaused = false;
  state: 'open' | 'ended' | 'destroyed' = 'open';
  writes = 0;
  maxBufferedBytes = 0;
  onDrained: () => void = () => undefined;
  /** Told of what it has read at once. */
  onRead: (text: string) => void = () => undefined;
  #buffered: Buffer[] = [];

  readonly #highWaterMark: number;

  constructor(highWaterMark = 16 * 1024) {
    this.#highWaterMark = highWaterMark;
  }

  get bufferedBytes(): number {
    return this.#buffered.reduce((sum, { length }) => sum + length, 0);
  }

  get heard(): Heard[] {
    return this.reader.heard;
  }

  write(data: Buffer): boolean {
    this.writes += 1;
    if (!this.isPaused) {
      const text = data.toString();
      this.reader.add(text);
      this.onRead(text);
      return true;
    }
    this.#buffered.push(data);
    this.maxBufferedBytes = Math.max(this.maxBufferedBytes, this.bufferedBytes);
    return this.bufferedBytes < this.#highWaterMark;
  }

  /** Reads everything, and goes on reading. */
  resume(): void {
    this.isPaused = false;
    const wasFull = this.bufferedBytes >= this.#highWaterMark;
    for (const data of this.#buffered.splice(0)) this.reader.add(data.toString());
    if (wasFull) this.onDrained();
  }

  end(): void {
    this.state = 'ended';
  }

  destroy(): void {
    this.state = 'destroyed';
  }
}

/** A hub on a registry without HTTP. */
export function hubOf(
  core: RegistryCore,
  options: Partial<WatchHubOptions> = {},
  {
    nowMs = (): number => performance.now(),
    onError = (error: unknown): void => {
      throw error;
    },
  } = {},
): WatchHub {
  const { state, clock } = core;
  const work = new WorkSlices({ nowMs, onError });
  const hub = new WatchHub({
    state,
    clock,
    work,
    random: () => 0.5,
    maxStreams: 100,
    maxBufferBytes: 256 * 1024,
    maxTotalBufferBytes: 1024 * 1024,
    ...options,
    pace: { flushMs: 1, ...options.pace },
  });
  core.listeners.push((change, revision) => {
    hub.noteChange(change, revision);
  });
  return hub;
}

/** Words for what was heard: `oven moved`. */
export function wordsOf(heard: readonly Heard[]): string[] {
  return heard.map(({ data }) => ('id' in data ? `${data.id} ${data.event}` : data.event));
}
