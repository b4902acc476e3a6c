import { resolve } from 'node:path';
import { instanceIdSchema, LIMITS, MembraneError, parseDurationMs } from '@membrane/protocol';
import {
  CLEANUP_EXPECTATION,
  HEARTBEAT_EXPECTATION,
  isCleanupInterval,
  isHeartbeatInterval,
  isMailboxBytes,
  isMailboxMessages,
  isTotalWatchBuffer,
  isWatchBuffer,
  isWatchStreams,
  LOG_LEVELS,
  MAILBOX_BYTES_EXPECTATION,
  MAILBOX_MESSAGES_EXPECTATION,
  MEMORY_DATA,
  TOTAL_WATCH_BUFFER_EXPECTATION,
  toText,
  WATCH_BUFFER_EXPECTATION,
  WATCH_STREAMS_EXPECTATION,
  type RegistryOptions,
} from './options.js';
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
    flag: 'self-preservation',
    variable: 'MEMBRANE_REGISTRY_SELF_PRESERVATION',
    description: 'keep silent members for longer where most of a subtree are silent [on]',
    type: 'boolean',
    expectation: 'must be "true" or "false"',
    parse: (text) =>
      text === 'true' || text === 'false' ? { selfPreservation: text === 'true' } : undefined,
  },
  {
    flag: 'mailbox-max-messages',
    variable: 'MEMBRANE_REGISTRY_MAILBOX_MAX_MESSAGES',
    description: 'messages that may wait for one member [1000]',
    type: 'string',
    expectation: MAILBOX_MESSAGES_EXPECTATION,
    parse: (text) => {
      const maxMailboxMessages = parseCount(text);
      return isMailboxMessages(maxMailboxMessages) ? { maxMailboxMessages } : undefined;
    },
  },
  {
    flag: 'mailbox-max-bytes',
    variable: 'MEMBRANE_REGISTRY_MAILBOX_MAX_BYTES',
    description: 'room for the messages of one member [16MiB]',
    type: 'string',
    expectation: MAILBOX_BYTES_EXPECTATION,
    parse: (text) => {
      const maxMailboxBytes = parseBytes(text);
      return isMailboxBytes(maxMailboxBytes) ? { maxMailboxBytes } : undefined;
    },
  },
  {
    flag: 'mailbox-max-total-bytes',
    variable: 'MEMBRANE_REGISTRY_MAILBOX_MAX_TOTAL_BYTES',
    description: 'room for the messages of all members [256MiB]',
    type: 'string',
    expectation: MAILBOX_BYTES_EXPECTATION,
    parse: (text) => {
      const maxTotalMailboxBytes = parseBytes(text);
      return isMailboxBytes(maxTotalMailboxBytes) ? { maxTotalMailboxBytes } : undefined;
    },
  },
  {
    flag: 'watch-max-streams',
    variable: 'MEMBRANE_REGISTRY_WATCH_MAX_STREAMS',
    description: 'watchers at a time [10000]',
    type: 'string',
    expectation: WATCH_STREAMS_EXPECTATION,
    parse: (text) => {
      const maxWatchStreams = parseCount(text);
      return isWatchStreams(maxWatchStreams) ? { maxWatchStreams } : undefined;
    },
  },
  {
    flag: 'watch-max-buffer-bytes',
    variable: 'MEMBRANE_REGISTRY_WATCH_MAX_BUFFER_BYTES',
    description: 'room for what waits for one watcher [1MiB]',
    type: 'string',
    expectation: WATCH_BUFFER_EXPECTATION,
    parse: (text) => {
      const maxWatchBufferBytes = parseBytes(text);
      return isWatchBuffer(maxWatchBufferBytes) ? { maxWatchBufferBytes } : undefined;
    },
  },
  {
    flag: 'watch-max-total-buffer-bytes',
    variable: 'MEMBRANE_REGISTRY_WATCH_MAX_TOTAL_BUFFER_BYTES',
    description: 'room for what waits for all watchers [256MiB]',
    type: 'string',
    expectation: TOTAL_WATCH_BUFFER_EXPECTATION,
    parse: (text) => {
      const maxTotalWatchBufferBytes = parseBytes(text);
      return isTotalWatchBuffer(maxTotalWatchBufferBytes) ? { maxTotalWatchBufferBytes } : undefined;
    },
  },
  {
    flag: 'health-checks',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECKS',
    description: 'probe the health check URLs of members [off]',
    type: 'boolean',
    expectation: 'must be "true" or "false"',
    parse: (text) => (text === 'true' || text === 'false' ? { healthChecks: text === 'true' } : undefined),
  },
  {
    flag: 'health-check-interval',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECK_INTERVAL',
    description: 'time between two probes of one member [10s]',
    type: 'string',
    expectation: CHECK_INTERVAL_EXPECTATION,
    parse: (text) => {
      const healthCheckIntervalMs = parseDurationMs(text);
      return isCheckInterval(healthCheckIntervalMs) ? { healthCheckIntervalMs } : undefined;
    },
  },
  {
    flag: 'health-check-timeout',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECK_TIMEOUT',
    description: 'time for the answer to a probe [2s]',
    type: 'string',
    expectation: CHECK_TIMEOUT_EXPECTATION,
    parse: (text) => {
      const healthCheckTimeoutMs = parseDurationMs(text);
      return isCheckTimeout(healthCheckTimeoutMs) ? { healthCheckTimeoutMs } : undefined;
    },
  },
  {
    flag: 'health-check-failure-threshold',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECK_FAILURE_THRESHOLD',
    description: 'probes in a row that must fail before a member is unhealthy [3]',
    type: 'string',
    expectation: CHECK_THRESHOLD_EXPECTATION,
    parse: (text) => {
      const healthCheckFailureThreshold = parseCount(text);
      return isCheckThreshold(healthCheckFailureThreshold) ? { healthCheckFailureThreshold } : undefined;
    },
  },
  {
    flag: 'health-check-success-threshold',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECK_SUCCESS_THRESHOLD',
    description: 'probes in a row that must pass before it is healthy again [2]',
    type: 'string',
    expectation: CHECK_THRESHOLD_EXPECTATION,
    parse: (text) => {
      const healthCheckSuccessThreshold = parseCount(text);
      return isCheckThreshold(healthCheckSuccessThreshold) ? { healthCheckSuccessThreshold } : undefined;
    },
  },
  {
    flag: 'health-check-max-concurrent',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECK_MAX_CONCURRENT',
    description: 'probes at a time [64]',
    type: 'string',
    expectation: CHECK_CONCURRENCY_EXPECTATION,
    parse: (text) => {
      const maxConcurrentHealthChecks = parseCount(text);
      return isCheckConcurrency(maxConcurrentHealthChecks) ? { maxConcurrentHealthChecks } : undefined;
    },
  },
  {
    flag: 'health-check-allow',
    variable: 'MEMBRANE_REGISTRY_HEALTH_CHECK_ALLOW',
    description:
      'where probes may lead: loopback, private, public, networks, addresses, host names, separated by commas [private; loopback where --host is]',
    type: 'string',
    expectation: `${CHECK_ALLOW_EXPECTATION}, separated by commas`,
    parse: (text) => {
      const healthCheckAllow = text.split(',').map((rule) => rule.trim());
      return isCheckAllow(healthCheckAllow) ? { healthCheckAllow } : undefined;
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

function parseCount(text: string): number | undefined {
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

const UNIT_BYTES: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Bytes of a size as people write it: `16MiB`; a bare number is bytes. Undefined for anything else. */
function parseBytes(text: string): number | undefined {
  const match = /^(\d{1,15})(KiB|MiB|GiB)?$/.exec(text.trim());
  if (match?.[1] === undefined) return undefined;
  return Number(match[1]) * (match[2] === undefined ? 1 : (UNIT_BYTES[match[2]] ?? Number.NaN));
}
