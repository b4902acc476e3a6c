import { homedir } from 'node:os';
import { join } from 'node:path';
import { AddressList, LIMITS, LOOPBACK_RANGES, MembraneError } from '@membrane/protocol';
import type { Keyv } from 'keyv';
import type { Logger } from 'pino';
import {
  CHECK_ALLOW_EXPECTATION,
  CHECK_CONCURRENCY_EXPECTATION,
  CHECK_INTERVAL_EXPECTATION,
  CHECK_THRESHOLD_EXPECTATION,
  CHECK_TIMEOUT_EXPECTATION,
  isCheckAllow,
  isCheckConcurrency,
  isCheckInterval,
  isCheckThreshold,
  isCheckTimeout,
} from './health/health-check-limits.js';

/** The data location that keeps nothing. */
export const MEMORY_DATA = ':memory:';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
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
  /**
   * Whether silent members are kept for up to 15 intervals where most of a subtree of 20 and more are silent. On by
   * default: a network that fails empties no registry. Off finds the dead after 5 intervals, whatever their number.
   */
  selfPreservation: boolean;
  /**
   * Messages that may wait in the mailbox of one membrane, 1,000 by default; a sender gets `mailbox_full` beyond. More
   * costs memory: all mail is held there, beside the store.
   */
  maxMailboxMessages: number;
  /** Their bytes, 16 MiB by default. Every message counts as its envelope and 512 bytes. */
  maxMailboxBytes: number;
  /** Bytes in the mailboxes of all membranes together, 256 MiB by default, dead letters included. */
  maxTotalMailboxBytes: number;
  /**
   * Watches at a time, 10,000 by default; more get `rate_limited`. Each takes a connection, and what waits for it.
   */
  maxWatchStreams: number;
  /**
   * What may wait for one watcher that does not read, 1 MiB by default: beyond, it is dropped, and the watcher is told
   * to read the state anew. More rides out longer pauses of readers and takes the memory.
   */
  maxWatchBufferBytes: number;
  /**
   * The same for all watchers together, 256 MiB by default: beyond, those for whom the most waits are dropped. What
   * waits for many watchers of one filter is kept once, and counts once.
   */
  maxTotalWatchBufferBytes: number;
  /**
   * Whether the `health_check_url` of registrations is probed, off by default: the registry then makes requests to
   * addresses that others tell it.
   */
  healthChecks: boolean;
  /** Between two probes of one instance, 10 s by default. Shorter finds the sick sooner and costs them requests. */
  healthCheckIntervalMs: number;
  /** For a whole answer, 2 s by default. Longer forgives slow ones, and finds hung ones later. */
  healthCheckTimeoutMs: number;
  /** Probes in a row that must fail before an instance is unhealthy, 3 by default. More forgives a restart or a hiccup. */
  healthCheckFailureThreshold: number;
  /** Probes in a row that must pass before it is healthy again, 2 by default. More keeps a flapping one out longer. */
  healthCheckSuccessThreshold: number;
  /**
   * Probes at a time, 64 by default, each with a connection. Where more are due they are late: with timeouts of 2 s, 64
   * go through 32 hung instances a second.
   */
  maxConcurrentHealthChecks: number;
  /**
   * Where probes may lead: any of `loopback`, `private`, `public`, networks (`10.1.0.0/16`), addresses and host names
   * (`oven.example.com`, `*.example.com`). Undefined, the default: `private`, and `loopback` where the registry itself
   * listens on loopback, so that all who register are on this machine. Metadata services of clouds, link-local and
   * multicast addresses are allowed only by a rule that names just them.
   */
  healthCheckAllow: readonly string[] | undefined;
  /** What is logged: `info` by default, of which there is little; `debug` has a line a request. */
  logLevel: LogLevel;
  /** Lets anybody who can reach an address other than loopback read and change everything. Off by default. */
  allowAnonymous: boolean;
  /** Where the log goes; by default nowhere. */
  logger: Logger | undefined;
}

/** Empty where this user has no home directory: then it must be given. */
function findDataDirectory(): string {
  try {
    const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
    return join(state, 'membrane', 'registry');
  } catch {
    return '';
  }
}

export const DEFAULT_REGISTRY_OPTIONS: Readonly<RegistryOptions> = Object.freeze({
  host: '127.0.0.1',
  port: 8765,
  data: findDataDirectory(),
  keyv: undefined,
  registryId: undefined,
  heartbeatIntervalMs: 30_000,
  cleanupIntervalMs: 100,
  selfPreservation: true,
  maxMailboxMessages: 1_000,
  maxMailboxBytes: 16 * 1024 * 1024,
  maxTotalMailboxBytes: 256 * 1024 * 1024,
  maxWatchStreams: 10_000,
  maxWatchBufferBytes: 1024 * 1024,
  maxTotalWatchBufferBytes: 256 * 1024 * 1024,
  healthChecks: false,
  healthCheckIntervalMs: 10_000,
  healthCheckTimeoutMs: 2_000,
  healthCheckFailureThreshold: 3,
  healthCheckSuccessThreshold: 2,
  maxConcurrentHealthChecks: 64,
  healthCheckAllow: undefined,
  logLevel: 'info',
  allowAnonymous: false,
  logger: undefined,
});

const MIN_CLEANUP_INTERVAL_MS = 10;
const MAX_CLEANUP_INTERVAL_MS = 60_000;
export const HEARTBEAT_EXPECTATION = `must be a duration from ${LIMITS.minHeartbeatIntervalMs}ms to 1d, as "30s"`;
const MAX_MAILBOX_MESSAGES = 1_000_000;
const MAX_WATCH_STREAMS = 1_000_000;
/** Room for the two largest events, and for what is written at once. */
const MIN_WATCH_BUFFER_BYTES = 256 * 1024;
const MAX_WATCH_BUFFER_BYTES = 1024 ** 3;
const MAX_TOTAL_WATCH_BUFFER_BYTES = 1024 ** 4;
const MIN_MAILBOX_BYTES = 1_024;
const MAX_MAILBOX_BYTES = 1024 ** 4;
export const CLEANUP_EXPECTATION = `must be a duration from ${MIN_CLEANUP_INTERVAL_MS}ms to 60s, as "100ms"`;
export const MAILBOX_MESSAGES_EXPECTATION = `must be a whole number from 1 to ${MAX_MAILBOX_MESSAGES}`;
export const MAILBOX_BYTES_EXPECTATION = `must be a size from ${MIN_MAILBOX_BYTES} bytes to 1024GiB, as "16MiB"`;

export const WATCH_STREAMS_EXPECTATION = `must be a whole number from 1 to ${MAX_WATCH_STREAMS}`;
export const WATCH_BUFFER_EXPECTATION = `must be a size from 256KiB to 1GiB, as "1MiB"`;
export const TOTAL_WATCH_BUFFER_EXPECTATION = `must be a size from 256KiB to 1024GiB, as "256MiB"`;

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
  check(
    isMailboxMessages(options.maxMailboxMessages),
    options,
    'maxMailboxMessages',
    MAILBOX_MESSAGES_EXPECTATION,
  );
  for (const key of ['maxMailboxBytes', 'maxTotalMailboxBytes'] as const) {
    check(isMailboxBytes(options[key]), options, key, MAILBOX_BYTES_EXPECTATION);
  }
  check(isWatchStreams(options.maxWatchStreams), options, 'maxWatchStreams', WATCH_STREAMS_EXPECTATION);
  check(isWatchBuffer(options.maxWatchBufferBytes), options, 'maxWatchBufferBytes', WATCH_BUFFER_EXPECTATION);
  check(
    isTotalWatchBuffer(options.maxTotalWatchBufferBytes),
    options,
    'maxTotalWatchBufferBytes',
    TOTAL_WATCH_BUFFER_EXPECTATION,
  );
  checkHealthCheckOptions(options);
  if (options.data === '' && options.keyv === undefined) {
    throw new MembraneError(
      'invalid_request',
      `data must be given, by --data or MEMBRANE_REGISTRY_DATA, since this user has no home directory (HOME, XDG_STATE_HOME); ${MEMORY_DATA} keeps nothing`,
    );
  }
  if (!options.allowAnonymous && !isLoopback(options.host)) {
    throw new MembraneError(
      'invalid_request',
      `the host ${options.host} can be reached from other machines, and anybody who reaches the registry may change it: add --allow-anonymous (MEMBRANE_REGISTRY_ALLOW_ANONYMOUS=true) if that is meant, or use 127.0.0.1`,
    );
  }
  return Object.freeze(options);
}

export function toText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
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

function checkHealthCheckOptions(options: RegistryOptions): void {
  const { healthChecks, healthCheckIntervalMs, healthCheckTimeoutMs, healthCheckAllow } = options;
  check(typeof healthChecks === 'boolean', options, 'healthChecks', 'must be true or false');
  check(isCheckInterval(healthCheckIntervalMs), options, 'healthCheckIntervalMs', CHECK_INTERVAL_EXPECTATION);
  check(isCheckTimeout(healthCheckTimeoutMs), options, 'healthCheckTimeoutMs', CHECK_TIMEOUT_EXPECTATION);
  for (const key of ['healthCheckFailureThreshold', 'healthCheckSuccessThreshold'] as const) {
    check(isCheckThreshold(options[key]), options, key, CHECK_THRESHOLD_EXPECTATION);
  }
  check(
    isCheckConcurrency(options.maxConcurrentHealthChecks),
    options,
    'maxConcurrentHealthChecks',
    CHECK_CONCURRENCY_EXPECTATION,
  );
  check(
    healthCheckAllow === undefined || isCheckAllow(healthCheckAllow),
    options,
    'healthCheckAllow',
    CHECK_ALLOW_EXPECTATION,
  );
}

/** Where probes may lead, as it was given or by default. */
export function probeRules({ host, healthCheckAllow }: RegistryOptions): readonly string[] {
  return healthCheckAllow ?? (isLoopback(host) ? ['loopback', 'private'] : ['private']);
}

function dropUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined)) as T;
}

export function isHeartbeatInterval(ms: number | undefined): ms is number {
  return (
    Number.isInteger(ms) &&
    (ms ?? 0) >= LIMITS.minHeartbeatIntervalMs &&
    (ms ?? 0) <= LIMITS.maxHeartbeatIntervalMs
  );
}

export function isCleanupInterval(ms: number | undefined): ms is number {
  return Number.isInteger(ms) && (ms ?? 0) >= MIN_CLEANUP_INTERVAL_MS && (ms ?? 0) <= MAX_CLEANUP_INTERVAL_MS;
}

export function isMailboxMessages(count: number | undefined): count is number {
  return Number.isInteger(count) && (count ?? 0) >= 1 && (count ?? 0) <= MAX_MAILBOX_MESSAGES;
}

export function isMailboxBytes(bytes: number | undefined): bytes is number {
  return Number.isInteger(bytes) && (bytes ?? 0) >= MIN_MAILBOX_BYTES && (bytes ?? 0) <= MAX_MAILBOX_BYTES;
}

export function isWatchStreams(count: number | undefined): count is number {
  return Number.isInteger(count) && (count ?? 0) >= 1 && (count ?? 0) <= MAX_WATCH_STREAMS;
}

export function isTotalWatchBuffer(bytes: number | undefined): bytes is number {
  return (
    Number.isInteger(bytes) &&
    (bytes ?? 0) >= MIN_WATCH_BUFFER_BYTES &&
    (bytes ?? 0) <= MAX_TOTAL_WATCH_BUFFER_BYTES
  );
}

export function isWatchBuffer(bytes: number | undefined): bytes is number {
  return (
    Number.isInteger(bytes) &&
    (bytes ?? 0) >= MIN_WATCH_BUFFER_BYTES &&
    (bytes ?? 0) <= MAX_WATCH_BUFFER_BYTES
  );
}

const LOOPBACK = new AddressList(LOOPBACK_RANGES);

function isLoopback(host: string): boolean {
  return host === 'localhost' || LOOPBACK.has(host);
}
