import { isIP, isIPv6 } from 'node:net';

/** Where to listen for messages. */
export interface ListenOption {
  /** An address of this machine, or a name of one; undefined: wherever others are told to come to. */
  readonly host?: string | undefined;
  /** 0, and undefined: one that is free; with an `advertise`, that of its URL. */
  readonly port?: number | undefined;
}

const MAX_PORT = 65_535;
const NAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$/;
/** `host:port`, `[IPv6]:port`, `:port`. */
const TEXT = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})?$/;

/**
 * Reads `host:port`, `[::1]:port` or `:port`, or an object of the same.
 * @returns undefined for what is none of these
 */
export function readListenOption(value: unknown): ListenOption | undefined {
  const given = typeof value === 'string' ? fromText(value) : value;
  if (typeof given !== 'object' || given === null) return undefined;
  const { host, port } = given as Record<keyof ListenOption, unknown>;
  if (host === undefined && port === undefined) return undefined;
  if (host !== undefined && !(typeof host === 'string' && (isIP(host) !== 0 || NAME.test(host)))) {
    return undefined;
  }
  if (
    port !== undefined &&
    !(Number.isInteger(port) && (port as number) >= 0 && (port as number) <= MAX_PORT)
  ) {
    return undefined;
  }
  return { host, port: port as number | undefined };
}

/** As it is written in a variable. */
export function formatListenOption({ host = '', port }: ListenOption): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port ?? ''}`;
}

function fromText(text: string): ListenOption | undefined {
  const [matched, inBrackets, name, port] = TEXT.exec(text) ?? [];
  if (matched === undefined) return undefined;
  const host = inBrackets ?? name;
  return {
    host: host === '' ? undefined : host,
    port: port === undefined ? undefined : Number(port),
  };
}
