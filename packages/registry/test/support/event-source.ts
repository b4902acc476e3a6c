import { request, type IncomingHttpHeaders } from 'node:http';
import { eventually } from './eventually.js';
import { EventStreamReader, type Heard } from './watching.js';

export interface EventSource {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly heard: readonly Heard[];
  readonly retryMs: number | undefined;
  /** What came instead of events. */
  readonly text: string;
  /** True where the other side has ended it properly. */
  readonly isComplete: boolean;
  readonly isClosed: boolean;
  pause(): void;
  resume(): void;
  close(): void;
  /** Resolves to the first event that it is true for. */
  hears(what: string, is: (heard: Heard) => boolean): Promise<Heard>;
}

/** Connections that read server-sent events, and end with the test. */
export function useEventSources(): (
  url: string,
  path: string,
  headers?: Record<string, string>,
) => Promise<EventSource> {
  const opened: EventSource[] = [];
  afterEach(() => {
    for (const source of opened.splice(0)) source.close();
  });
  return async (url, path, headers = {}) => {
    const source = await open(url, path, headers);
    opened.push(source);
    return source;
  };
}

function open(url: string, path: string, headers: Record<string, string>): Promise<EventSource> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, path, agent: false, headers }, (response) => {
      const reader = new EventStreamReader();
      let text = '';
      let isClosed = false;
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        reader.add(piece);
        if (response.statusCode !== 200) text += piece;
      });
      response.on('close', () => {
        isClosed = true;
      });
      response.on('error', () => undefined);
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        heard: reader.heard,
        get retryMs() {
          return reader.retryMs;
        },
        get text() {
          return text;
        },
        get isComplete() {
          return response.complete;
        },
        get isClosed() {
          return isClosed;
        },
        pause: () => response.pause(),
        resume: () => response.resume(),
        close: () => {
          outgoing.destroy();
        },
        hears: (what, is) => eventually(what, () => reader.heard.find(is)),
      });
    });
    outgoing.on('error', reject);
    outgoing.end();
  });
}
