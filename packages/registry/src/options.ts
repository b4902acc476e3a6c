import { homedir } from 'node:os';
import { BlockList, isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { instanceIdSchema, LIMITS, MembraneError, parseDurationMs } from '@membrane/protocol';
import type { Keyv } from 'keyv';
import type { Logger } from 'pino';

/** The data location that keeps nothing. */
export const MEMORY_DATA = ':memory:';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface RegistryOptions {
  /**
   * Address to listen on. The default, 127.0.0.1, is reached from this machine alone; any other than loopback wants
   * `allowAnonymous`, since whoever reaches the registry may change it.
   */
  host: string;
  /** Port to listen on, 8765 by default; 0 takes a free one, which `Registry.url` tells. */
  port: number;
  /**
   * Directory of the database, made where missing; by default `membrane/registry` in the user's XDG state
   * directory. `:memory:` keeps nothing: members must register again after a restart. One process a directory.
   */
  data: string;
  /** A Keyv to keep the data in instead of `data`; it must have an iterator, and nobody else may write to it. */
  keyv: Keyv | undefined;
  /** Name of this registry; by default made once and kept with the data. */
  registryId: string | undefined;
  /**
   * The pace of registrants that name none (clients of the older registry), 30 s by default. Shorter finds the dead
   * sooner and costs more heartbeats; a client that renews less often than every 2 intervals turns unhealthy.
   */
  heartbeatIntervalMs: number;
  /**
   * How often silence is looked for, 100 ms by default: leases end at most this much late. Shorter costs processor
   * time when idle; a stall of this process is noticed from twice this length on.
   */
  cleanupIntervalMs: number;
  /** What is logged: `info` by default, of which there is little; `debug` has a line a request. */
  logLevel: LogLevel;
  /** Lets anybody who can reach an address other than loopback read and change everything. Off by default. */
  allowAnonymous: boolean;
  /** Where the log goes; by default nowhere. */
  logger: Logger | undefined;
}

export const DEFAULT_REGISTRY_OPTIONS: Readonly<RegistryOptions> = Object.freeze({
  host: '127.0.0.1',
  port: 8765,
  data: join(process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'), 'membrane', 'registry'),
  keyv: undefined,
  registryId: undefined,
  heartbeatIntervalMs: 30_000,
  cleanupIntervalMs: 100,
  logLevel: 'info',
  allowAnonymous: false,
  logger: undefined,
});

/** An option that can be given as text, by a flag or in the environment. */
export interface RegistrySetting {
  readonly flag: string;
  readonly variable: string;
  readonly description: string;
  readonly type: 'string' | 'boolean';
  /** The option, from text. Undefined where the text cannot be used. */
  parse(text: string): Partial<RegistryOptions> | undefined;
  /** What a text must be. */
  readonly expectation: string;
}

const MIN_CLEANUP_INTERVAL_MS = 10;
const MAX_CLEANUP_INTERVAL_MS = 60_000;
const HEARTBEAT_EXPECTATION = `must be a duration from ${LIMITS.minHeartbeatIntervalMs}ms to 1d, as "30s"`;
const CLEANUP_EXPECTATION = `must be a duration from ${MIN_CLEANUP_INTERVAL_MS}ms to 60s, as "100ms"`;

/** Every setting of the service: the flags of `membrane-registry` and of `membrane registry start`. */
export const REGISTRY_SETTINGS: readonly RegistrySetting[] = Object.freeze([
  {
    flag: 'host',
    variable: 'MEMBRANE_REGISTRY_HOST',
    description: 'address to listen on; other than loopback wants --allow-anonymous [127.0.0.1]',
    type: 'string',
    expectation: 'must be an address or a host name',
    parse: (text) => (/^[A-Za-z0-9.:_-]+$/.test(text) ? { host: text } : undefined),
  },
  {
    flag: 'port',
    variable: 'MEMBRANE_REGISTRY_PORT',
    description: 'port to listen on; 0 takes a free one [8765]',
    type: 'string',
    expectation: 'must be a whole number from 0 to 65535',
    parse: (text) => (/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? { port: Number(text) } : undefined),
  },
  {
    flag: 'data',
    variable: 'MEMBRANE_REGISTRY_DATA',
    description: `directory of the database, or ${MEMORY_DATA} [the user's state directory]`,
    type: 'string',
    expectation: `must be a directory, or ${MEMORY_DATA}`,
    parse: (text) => ({ data: text === MEMORY_DATA ? text : resolve(text) }),
  },
  {
    flag: 'registry-id',
    variable: 'MEMBRANE_REGISTRY_ID',
    description: 'name of this registry [made once, kept with the data]',
    type: 'string',
    expectation: `must be 1 to ${LIMITS.maxNameLength} letters, digits, ".", "_", ":" or "-"`,
    parse: (text) => (instanceIdSchema.safeParse(text).success ? { registryId: text } : undefined),
  },
  {
    flag: 'heartbeat-interval',
    variable: 'MEMBRANE_REGISTRY_HEARTBEAT_INTERVAL',
    description: 'pace of members that name none [30s]',
    type: 'string',
    expectation: HEARTBEAT_EXPECTATION,
    parse: (text) => {
      const heartbeatIntervalMs = parseDurationMs(text);
      return isHeartbeatInterval(heartbeatIntervalMs) ? { heartbeatIntervalMs } : undefined;
    },
  },
  {
    flag: 'cleanup-interval',
    variable: 'MEMBRANE_REGISTRY_CLEANUP_INTERVAL',
    description: 'how often silent members are looked for [100ms]',
    type: 'string',
    expectation: CLEANUP_EXPECTATION,
    parse: (text) => {
      const cleanupIntervalMs = parseDurationMs(text);
      return isCleanupInterval(cleanupIntervalMs) ? { cleanupIntervalMs } : undefined;
    },
  },
  {
    flag: 'log-level',
    variable: 'MEMBRANE_REGISTRY_LOG_LEVEL',
    description: `one of ${LOG_LEVELS.join(', ')} [info]`,
    type: 'string',
    expectation: `must be one of ${LOG_LEVELS.join(', ')}`,
    parse: (text) => {
      const logLevel = LOG_LEVELS.find((level) => level === text);
      return logLevel === undefined ? undefined : { logLevel };
    },
  },
  {
    flag: 'allow-anonymous',
    variable: 'MEMBRANE_REGISTRY_ALLOW_ANONYMOUS',
    description: 'let everybody who reaches another address than loopback change everything [off]',
    type: 'boolean',
    expectation: 'must be "true" or "false"',
    parse: (text) => (text === 'true' || text === 'false' ? { allowAnonymous: text === 'true' } : undefined),
  },
]);

/** Flags by name, as a command line parser gives them: text, switches, or nothing. */
export type RegistryFlags = Readonly<Record<string, unknown>>;

function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/**
 * The options that flags and environment give, flags first; an empty variable is an unset one.
 * @throws MembraneError `invalid_request` that names the flag or the variable, its value and what would be right.
 */
export function readRegistrySettings(
  flags: RegistryFlags,
  environment: Readonly<Record<string, string | undefined>>,
): Partial<RegistryOptions> {
  const options: Partial<RegistryOptions> = {};
  for (const setting of REGISTRY_SETTINGS) {
    const flag = flags[setting.flag];
    const variable = environment[setting.variable];
    const given =
      flag !== undefined
        ? { source: `--${setting.flag}`, text: toText(flag) }
        : variable !== undefined && variable !== ''
          ? { source: setting.variable, text: variable }
          : undefined;
    if (given === undefined) continue;
    const parsed = given.text === '' ? undefined : setting.parse(given.text);
    if (parsed === undefined) {
      throw new MembraneError(
        'invalid_request',
        `${given.source} ${setting.expectation}; got "${given.text}"`,
      );
    }
    Object.assign(options, parsed);
  }
  return options;
}

/**
 * Complete options, checked.
 * @throws MembraneError `invalid_request` that names the option, its value and what would be right.
 */
export function parseRegistryOptions(given: Partial<RegistryOptions>): Readonly<RegistryOptions> {
  const options = { ...DEFAULT_REGISTRY_OPTIONS, ...dropUndefined(given) };
  check(typeof options.host === 'string' && options.host !== '', options, 'host', 'must be an address');
  check(
    Number.isInteger(options.port) && options.port >= 0 && options.port <= 65_535,
    options,
    'port',
    'must be a whole number from 0 to 65535',
  );
  check(
    isHeartbeatInterval(options.heartbeatIntervalMs),
    options,
    'heartbeatIntervalMs',
    HEARTBEAT_EXPECTATION,
  );
  check(isCleanupInterval(options.cleanupIntervalMs), options, 'cleanupIntervalMs', CLEANUP_EXPECTATION);
  if (!options.allowAnonymous && !isLoopback(options.host)) {
    throw new MembraneError(
      'invalid_request',
      `the host ${options.host} can be reached from other machines, and anybody who reaches the registry may change it: add --allow-anonymous (MEMBRANE_REGISTRY_ALLOW_ANONYMOUS=true) if that is meant, or use 127.0.0.1`,
    );
  }
  return Object.freeze(options);
}

function check(
  fine: boolean,
  options: RegistryOptions,
  key: keyof RegistryOptions,
  expectation: string,
): void {
  if (fine) return;
  throw new MembraneError('invalid_request', `${key} ${expectation}; got ${toText(options[key])}`);
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

function isHeartbeatInterval(ms: number | undefined): ms is number {
  return (
    Number.isInteger(ms) &&
    (ms ?? 0) >= LIMITS.minHeartbeatIntervalMs &&
    (ms ?? 0) <= LIMITS.maxHeartbeatIntervalMs
  );
}

function isCleanupInterval(ms: number | undefined): ms is number {
  return Number.isInteger(ms) && (ms ?? 0) >= MIN_CLEANUP_INTERVAL_MS && (ms ?? 0) <= MAX_CLEANUP_INTERVAL_MS;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0 ? host === 'localhost' : LOOPBACK.check(host, family === 4 ? 'ipv4' : 'ipv6');
}
