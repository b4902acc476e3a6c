import { styleText } from 'node:util';

/** Where a command writes: data for standard output, words for people on standard error. */
export interface Output {
  /** True where standard output is a terminal: tables, colours. */
  readonly isTerminal: boolean;
  readonly isColored: boolean;
  /** Columns of the terminal; infinite where there is none, or it does not know them. */
  readonly width: number;
  /** A line of data. */
  data(line: string): void;
  /** The same, for data that counts as given away once it is written: rejects where nobody reads it any more. */
  write(line: string): Promise<void>;
  /** A line for people: it cannot move the cursor, and shows no password of a URL. */
  say(line: string): void;
}

export function createOutput(
  stdout: NodeJS.WriteStream,
  stderr: NodeJS.WriteStream,
  environment: Readonly<Record<string, string | undefined>>,
): Output {
  const isTerminal = stdout.isTTY;
  return {
    isTerminal,
    isColored: isTerminal && !environment['NO_COLOR'] && environment['TERM'] !== 'dumb',
    width: (isTerminal && stdout.columns) || Number.POSITIVE_INFINITY,
    data: (line) => {
      stdout.write(`${line}\n`);
    },
    write: (line) =>
      new Promise((resolve, reject) => {
        stdout.write(`${line}\n`, (error) => {
          if (error == null) resolve();
          else reject(error);
        });
      }),
    say: (line) => {
      stderr.write(`${toPrintable(hideCredentials(line))}\n`);
    },
  };
}

/** Text that cannot move the cursor or change colours: what a registry holds is written by anybody. */
export function toPrintable(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what it replaces
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '\u{fffd}');
}

/** A payload for standard output: a text as it is, except where it could move the cursor; anything else as JSON. */
export function formatPayload(payload: unknown, { isTerminal }: Pick<Output, 'isTerminal'>): string {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return isTerminal ? toPrintable(text) : text;
}

const MAX_SHOWN_LENGTH = 200;

/** The beginning of a value that somebody gave, where it is too long for a line. */
export function shorten(text: string): string {
  return text.length <= MAX_SHOWN_LENGTH ? text : `${text.slice(0, MAX_SHOWN_LENGTH - 1)}…`;
}

/** The same text without the user and the password of the URLs in it. */
export function hideCredentials(text: string): string {
  // A password with a slash makes no URL, but stands in the message that says so.
  return text.replace(
    /\b([a-z][a-z0-9+.-]*:\/\/)(?:[^\s/?#]*@|[^\s/?#@:[]+:(?!\d*[/?#])[^\s",@]*@)/gi,
    '$1***@',
  );
}

const STATUS_COLORS: Readonly<Record<string, 'green' | 'red' | 'yellow'>> = {
  active: 'green',
  unhealthy: 'red',
  draining: 'yellow',
};

export function colorStatus(status: string, output: Output): string {
  const color = STATUS_COLORS[status];
  return output.isColored && color !== undefined
    ? styleText(color, status, { validateStream: false })
    : status;
}

/** `3 s`, `12 min`, `2 h`, `5 d`. */
export function formatAge(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return `${s} s`;
  if (s < 7_200) return `${Math.round(s / 60)} min`;
  return s < 172_800 ? `${Math.round(s / 3_600)} h` : `${Math.round(s / 86_400)} d`;
}
