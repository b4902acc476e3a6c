import { hostname } from 'node:os';
import { inspect } from 'node:util';
import {
  communicationModeSchema,
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  instanceIdSchema,
  leaseTokenSchema,
  LIMITS,
  membraneIdSchema,
  MembraneError,
  metadataSchema,
  namespaceSchema,
  type CommunicationMode,
  type JsonObject,
} from '@membrane/protocol';
import { formatListenOption, readListenOption, type ListenOption } from './listen-option.js';
import type { BalancerOptions } from './balancing/balancer.js';
import { STRATEGY_NAMES, type Strategy, type StrategyName } from './balancing/strategy.js';
import { readConfigFile, type ConfigKey, type ConfigValue, type ConfigValues } from './config-file.js';

/** What a client can be told in code. Each has a default; the environment and a config file come in between. */
export interface NamespaceClientOptions {
  /** Where the registry is; several in an array, or separated by commas: the next is used where one fails. */
  registryUrl?: string | readonly string[] | undefined;
  /** Which namespace the client lives in. */
  namespace?: string | undefined;
  /** Below whom it registers; null for a root. */
  parent?: string | null | undefined;
  /** How others reach it. */
  communicationMode?: CommunicationMode | undefined;
  /** What it tells of itself: any JSON object, 16 KiB at most. */
  metadata?: JsonObject | undefined;
  /** Which replica of its id it is. */
  instanceId?: string | undefined;
  /**
   * The pace of its heartbeats in milliseconds. It is shown as unhealthy after 2 of them, gone after 5: shorter tells
   * of a death sooner and costs more requests.
   */
  heartbeatIntervalMs?: number | undefined;
  /** How long a call may take, in milliseconds. Longer rides out a slow registry, shorter tells of one sooner. */
  timeoutMs?: number | undefined;
  /**
   * Answers of `discover` that are kept; false keeps none. `'watch'` keeps a replica of the namespace that follows every
   * change of the registry: what it holds is found without asking.
   */
  cache?: CacheOptions | 'watch' | false | undefined;
  /** Directory that stands for the shared volume. */
  sharedRoot?: string | undefined;
  /** Directory of the Unix sockets that the membranes of this host share; made with mode 0700. */
  socketDirectory?: string | undefined;
  /**
   * The URL at which others reach this process, where that is not the address it listens on (behind NAT, in a
   * container): `http://host.example:9000`. It then listens on that port, on every interface, unless `listen` says
   * otherwise.
   */
  advertise?: string | undefined;
  /**
   * Where to listen, where that does not follow: behind a proxy, or a port that is mapped. Without a host: on every
   * interface with `advertise`, else where the registry is reached from.
   */
  listen?: ListenOption | undefined;
  /** Name of the network: membranes that name different ones do not try to reach each other by it. */
  networkRealm?: string | undefined;
  /** Ways that it offers and uses. */
  modes?: readonly CommunicationMode[] | undefined;
  /** False: `register()` opens no receiver. For a process that another one receives for. */
  receive?: boolean | undefined;
  /**
   * Directory that keeps messages until they are delivered, over restarts of this process too; none by default. One
   * process a directory.
   */
  outbox?: string | undefined;
  /** How it chooses among the instances of an id: for `pick`, and messages to `@any:ID`. */
  balancer?: BalancerSettings | undefined;
  /** Limits and times of messaging. */
  messaging?: MessagingOptions | undefined;
  /** False switches `autoRegister()` off. */
  autoRegister?: boolean | undefined;
  /** In place of the process's own secret: for one who keeps a lease over several processes. */
  leaseToken?: string | undefined;
}

/** Limits and times of messaging. Sizes in bytes, times in milliseconds. */
export interface MessagingOptions {
  /** Messages that wait to be handled, or for those before them; more are refused, and their senders back off. */
  maxInboxMessages?: number | undefined;
  /** The same in bytes of JSON. */
  maxInboxBytes?: number | undefined;
  /** Messages of one handler at once, where it says nothing else. Those of one stream come one at a time. */
  concurrency?: number | undefined;
  /** Tries of a message whose handler fails. */
  handlerTries?: number | undefined;
  /** The deadline of a message whose sender names none. */
  sendTimeoutMs?: number | undefined;
  /** Messages that this client sends at once; more are refused. */
  maxPendingMessages?: number | undefined;
  /** How often a shared directory is looked at beside its notifications. Shorter finds sooner what they miss. */
  pollIntervalMs?: number | undefined;
  /** False relies on looking alone: for volumes whose notifications are known to fail. */
  watchDirectory?: boolean | undefined;
  /** Connections that it takes at once, at its port and at its socket each; more are hung up on. */
  maxConnections?: number | undefined;
  /** True: addresses on loopback may come from a registry that is not. */
  allowLoopback?: boolean | undefined;
}

export interface BalancerSettings {
  /**
   * `p2c` (of two random ones the faster and less busy), `round-robin`, `random`, `weighted` (by `weight`), `sticky` (by
   * key), or a function of one's own.
   */
  strategy?: StrategyName | Strategy | undefined;
  /**
   * Instances of one id that this client uses at most, each client others. More spread its load better and cost
   * connections.
   */
  subsetSize?: number | undefined;
}

export interface CacheOptions {
  /** How long an answer serves, in milliseconds. Longer saves calls, shorter sees changes sooner. */
  ttlMs?: number | undefined;
  /** The same for "there is no such membrane". */
  negativeTtlMs?: number | undefined;
  /** How old an answer may be that serves while no registry can be reached, in milliseconds. */
  maxStaleMs?: number | undefined;
  /** Answers kept; the least recently used go. */
  maxEntries?: number | undefined;
  /**
   * True keeps a replica of the namespace, an id one of this membrane with what is below it. It costs about 1 KB of
   * memory a membrane, and one connection.
   */
  watch?: boolean | string | undefined;
}

export type SettingName =
  | 'id'
  | 'registryUrl'
  | 'namespace'
  | 'instanceId'
  | 'parent'
  | 'communicationMode'
  | 'sharedRoot'
  | 'socketDirectory'
  | 'advertise'
  | 'listen'
  | 'enableNamespace'
  | 'autoRegister';

/** Where a setting can come from besides code. */
interface SettingPlaces {
  readonly variable?: string;
  readonly key?: ConfigKey;
}

export const SETTING_PLACES: Readonly<Record<SettingName, SettingPlaces>> = Object.freeze({
  id: { variable: 'MEMBRANE_ID', key: 'membraneId' },
  registryUrl: { variable: 'MEMBRANE_REGISTRY_URL', key: 'registryUrl' },
  namespace: { variable: 'MEMBRANE_NAMESPACE', key: 'namespaceId' },
  instanceId: { variable: 'MEMBRANE_INSTANCE_ID' },
  parent: { variable: 'MEMBRANE_PARENT', key: 'parentMembrane' },
  communicationMode: { variable: 'MEMBRANE_COMMUNICATION_MODE', key: 'communicationMode' },
  sharedRoot: { variable: 'MEMBRANE_SHARED_ROOT' },
  socketDirectory: { variable: 'MEMBRANE_SOCKET_DIR' },
  advertise: { variable: 'MEMBRANE_ADVERTISE' },
  listen: { variable: 'MEMBRANE_LISTEN' },
  enableNamespace: { key: 'enableNamespace' },
  autoRegister: { variable: 'MEMBRANE_AUTO_REGISTER', key: 'autoRegister' },
});

/** Names the config file, in place of looking for one. */
const CONFIG_VARIABLE = 'MEMBRANE_CONFIG';

/** The file of older installations, looked at last. */
const OLDER_CONFIG_FILE = '/opt/membrane/config/membrane.json';

export const DEFAULT_CLIENT_OPTIONS = Object.freeze({
  registryUrl: 'http://127.0.0.1:8765',
  namespace: DEFAULT_NAMESPACE,
  parent: null,
  communicationMode: 'shared-volume',
  instanceId: DEFAULT_INSTANCE_ID,
  heartbeatIntervalMs: 5_000,
  timeoutMs: 10_000,
  enableNamespace: true,
  autoRegister: true,
  networkRealm: 'default',
  modes: Object.freeze<CommunicationMode[]>(['ipc', 'network', 'shared-volume']),
  receive: true,
  messaging: Object.freeze({
    maxInboxMessages: 1_000,
    maxInboxBytes: 64 * 1024 * 1024,
    concurrency: 16,
    handlerTries: 3,
    sendTimeoutMs: 30_000,
    maxPendingMessages: 10_000,
    pollIntervalMs: 1_000,
    watchDirectory: true,
    maxConnections: 1_024,
    allowLoopback: false,
  }),
  balancer: Object.freeze<BalancerOptions>({ strategy: 'p2c', subsetSize: 32 }),
  cache: Object.freeze<CacheLimits>({
    ttlMs: 5_000,
    negativeTtlMs: 1_000,
    maxStaleMs: 600_000,
    maxEntries: 10_000,
    watch: false,
  }),
});

const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1_000;
const MAX_CACHE_ENTRIES = 10_000_000;

/** A setting as it was resolved. */
export interface Setting {
  readonly name: SettingName;
  readonly value: string | boolean | null;
  /** For people: `code`, a variable, a key in a file, or `default`. */
  readonly source: string;
}

/** Everything a client works with. */
export interface ClientOptions {
  readonly id: string;
  readonly registryUrls: readonly string[];
  readonly namespace: string;
  readonly parent: string | null;
  readonly communicationMode: CommunicationMode;
  readonly metadata: JsonObject;
  readonly instanceId: string;
  readonly heartbeatIntervalMs: number;
  readonly timeoutMs: number;
  readonly cache: CacheLimits | false;
  readonly balancer: BalancerOptions;
  /** Undefined: chosen where it is needed. */
  readonly sharedRoot: string | undefined;
  readonly socketDirectory: string | undefined;
  readonly advertise: string | undefined;
  readonly listen: ListenOption | undefined;
  readonly networkRealm: string;
  readonly modes: readonly CommunicationMode[];
  readonly receive: boolean;
  readonly outbox: string | undefined;
  readonly messaging: MessagingLimits;
  readonly autoRegister: boolean;
  readonly leaseToken: string | undefined;
  readonly settings: readonly Setting[];
}

/** Cache options, complete. */
export type CacheLimits = Readonly<{ [Key in keyof CacheOptions]-?: NonNullable<CacheOptions[Key]> }>;

/** Messaging options, complete. */
export type MessagingLimits = Readonly<{
  [Key in keyof MessagingOptions]-?: NonNullable<MessagingOptions[Key]>;
}>;

export interface ClientSurroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly olderConfigFile: string;
}

/**
 * Complete options: from code, then the environment, then a config file, then the defaults. An empty variable is an
 * unset one.
 * @throws MembraneError `invalid_request` that names the option, the variable or the file and its key, the value, and
 * what would be right.
 */
export function parseClientOptions(
  id: string | undefined,
  given: NamespaceClientOptions = {},
  { environment, workingDirectory, olderConfigFile }: ClientSurroundings = {
    environment: process.env,
    workingDirectory: process.cwd(),
    olderConfigFile: OLDER_CONFIG_FILE,
  },
): ClientOptions {
  const file = environment[CONFIG_VARIABLE] || undefined;
  const config = readConfigFile({ file, workingDirectory, lastResort: olderConfigFile });
  const settings: Setting[] = [];
  const resolve = <Value extends string | boolean | null>(
    name: SettingName,
    code: unknown,
    fallback: Value,
    check: (found: Found) => Value,
  ): Value => {
    const found = find(name, code, environment, config);
    const label = found?.source === 'code' ? name : (found?.source ?? name);
    const value = found === undefined ? fallback : check({ value: found.value, label });
    settings.push({ name, value, source: found?.source ?? 'default' });
    return value;
  };

  const defaults = DEFAULT_CLIENT_OPTIONS;
  const url = Array.isArray(given.registryUrl) ? given.registryUrl.join(',') : given.registryUrl;
  const sourced = {
    id: resolve('id', id, defaultId(), checkWith(membraneIdSchema)),
    registryUrls: resolve('registryUrl', url, defaults.registryUrl, checkUrls).split(','),
    namespace: resolve('namespace', given.namespace, defaults.namespace, checkWith(namespaceSchema)),
    instanceId: resolve('instanceId', given.instanceId, defaults.instanceId, checkWith(instanceIdSchema)),
    parent: resolve('parent', given.parent, defaults.parent, checkParent),
    communicationMode: resolve(
      'communicationMode',
      given.communicationMode,
      defaults.communicationMode,
      checkWith(communicationModeSchema),
    ),
    sharedRoot: resolve('sharedRoot', given.sharedRoot, null, checkDirectory) ?? undefined,
    socketDirectory: resolve('socketDirectory', given.socketDirectory, null, checkDirectory) ?? undefined,
    advertise: resolve('advertise', given.advertise, null, checkAdvertise) ?? undefined,
    listen: readListenOption(resolve('listen', given.listen, null, checkListen)),
  };
  const isEnabled = resolve('enableNamespace', undefined, defaults.enableNamespace, checkBoolean);
  const autoRegister = resolve('autoRegister', given.autoRegister, defaults.autoRegister, checkBoolean);
  const fromCode = <Value>(name: string, value: unknown, check: (found: Found) => Value): Value =>
    check({ label: name, value });
  return Object.freeze({
    ...sourced,
    autoRegister: isEnabled && autoRegister,
    metadata: parseMetadata(given.metadata ?? {}),
    heartbeatIntervalMs: fromCode(
      'heartbeatIntervalMs',
      given.heartbeatIntervalMs ?? defaults.heartbeatIntervalMs,
      checkNumber(LIMITS.minHeartbeatIntervalMs, LIMITS.maxHeartbeatIntervalMs),
    ),
    timeoutMs: fromCode('timeoutMs', given.timeoutMs ?? defaults.timeoutMs, checkNumber(1, MAX_TIMEOUT_MS)),
    networkRealm: fromCode(
      'networkRealm',
      given.networkRealm ?? defaults.networkRealm,
      checkWith(namespaceSchema),
    ),
    modes: fromCode('modes', given.modes ?? defaults.modes, checkModes),
    receive: fromCode('receive', given.receive ?? defaults.receive, checkBoolean),
    outbox: given.outbox === undefined ? undefined : fromCode('outbox', given.outbox, checkDirectory),
    messaging: parseMessaging(given.messaging),
    cache: parseCache(given.cache),
    balancer: parseBalancer(given.balancer),
    leaseToken:
      given.leaseToken === undefined
        ? undefined
        : fromCode('leaseToken', given.leaseToken, checkWith(leaseTokenSchema)),
    settings: Object.freeze(settings),
  });
}

/** @throws MembraneError `invalid_request` for what is no metadata. */
export function parseMetadata(value: unknown): JsonObject {
  return checkWith(metadataSchema)({ label: 'metadata', value });
}

/** A value, and what to call it where it cannot be used. */
interface Found {
  readonly value: unknown;
  readonly label: string;
}

function find(
  name: SettingName,
  code: unknown,
  environment: ClientSurroundings['environment'],
  config: ConfigValues,
): ConfigValue | undefined {
  if (code !== undefined) return { value: code, source: 'code' };
  const { variable, key } = SETTING_PLACES[name];
  const text = variable === undefined ? undefined : environment[variable];
  if (variable !== undefined && text !== undefined && text !== '') return { value: text, source: variable };
  return key === undefined ? undefined : config[key];
}

/** As Moleculer names its nodes: the host and the process, so that nobody is replaced who did not choose a name. */
function defaultId(): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9._:-]/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, LIMITS.maxIdLength - 12);
  return `${host || 'host'}-${process.pid}`;
}

interface Schema<Value> {
  safeParse(value: unknown): {
    success: boolean;
    data?: Value | undefined;
    error?: { issues: readonly { message: string }[] } | undefined;
  };
}

function checkWith<Value>(schema: Schema<Value>): (found: Found) => Value {
  return (found) => {
    const parsed = schema.safeParse(found.value);
    if (parsed.success) return parsed.data as Value;
    throw unusable(found, parsed.error?.issues[0]?.message ?? 'cannot be used');
  };
}

function checkNumber(min: number, max: number): (found: Found) => number {
  return (found) => {
    const { value } = found;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw unusable(found, `must be a whole number from ${min} to ${max}`);
  };
}

/** A feature option of a development container is a boolean or a text, as is a variable. */
function checkBoolean(found: Found): boolean {
  if (found.value === true || found.value === 'true') return true;
  if (found.value === false || found.value === 'false') return false;
  throw unusable(found, 'must be true or false');
}

/** Older writers put `"null"` or an empty text for none. */
function checkParent(found: Found): string | null {
  if (found.value === null || found.value === '' || found.value === 'null') return null;
  return checkWith(membraneIdSchema)(found);
}

function checkDirectory(found: Found): string {
  if (typeof found.value === 'string' && found.value !== '' && !found.value.includes('\0'))
    return found.value;
  throw unusable(found, 'must be the path of a directory');
}

/** The URLs without slashes at their ends, separated by commas. */
function checkUrls(found: Found): string {
  const texts = typeof found.value === 'string' ? found.value.split(',').map((text) => text.trim()) : [];
  const urls = texts.filter((text) => text !== '').map((text) => parseUrl(text));
  if (urls.length === 0 || urls.includes(undefined)) {
    throw unusable(found, 'must be a URL as "http://127.0.0.1:8765", or several separated by commas');
  }
  return urls.join(',');
}

function parseUrl(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return undefined;
  return url.search === '' && url.hash === '' ? url.href.replace(/\/+$/, '') : undefined;
}

function parseCache(given: unknown): ClientOptions['cache'] {
  if (given === false) return false;
  const isUsable = given === undefined || given === 'watch' || (typeof given === 'object' && given !== null);
  if (!isUsable) throw unusable({ label: 'cache', value: given }, 'must be false, "watch" or an object');
  const options = given === 'watch' ? { watch: true } : (given as CacheOptions | undefined);
  const cache: CacheLimits = { ...DEFAULT_CLIENT_OPTIONS.cache, ...withoutUndefined(options ?? {}) };
  for (const [name, value] of Object.entries(cache)) {
    const label = `cache.${name}`;
    if (name === 'maxEntries') checkNumber(1, MAX_CACHE_ENTRIES)({ label, value });
    else if (name !== 'watch') checkNumber(0, MAX_TIMEOUT_MS)({ label, value });
    else if (typeof value !== 'boolean') checkWith(membraneIdSchema)({ label, value });
  }
  return Object.freeze(cache);
}

function parseBalancer(given: BalancerSettings = {}): BalancerOptions {
  const balancer = { ...DEFAULT_CLIENT_OPTIONS.balancer, ...withoutUndefined(given) };
  const { strategy, subsetSize } = balancer;
  checkNumber(1, MAX_SUBSET_SIZE)({ label: 'balancer.subsetSize', value: subsetSize });
  if (typeof strategy !== 'function' && !STRATEGY_NAMES.includes(strategy)) {
    const names = STRATEGY_NAMES.map((name) => `"${name}"`).join(', ');
    throw unusable({ label: 'balancer.strategy', value: strategy }, `must be one of ${names}, or a function`);
  }
  return Object.freeze(balancer);
}

const MAX_SUBSET_SIZE = 10_000;
const MAX_COUNT = 10_000_000;
const MAX_INBOX_BYTES = 2 ** 40;

function parseMessaging(given: MessagingOptions = {}): MessagingLimits {
  const messaging = { ...DEFAULT_CLIENT_OPTIONS.messaging, ...withoutUndefined(given) };
  for (const [name, value] of Object.entries(messaging)) {
    const label = `messaging.${name}`;
    if (typeof DEFAULT_CLIENT_OPTIONS.messaging[name as keyof MessagingLimits] === 'boolean') {
      checkBoolean({ label, value });
    } else if (name === 'sendTimeoutMs') checkNumber(1, LIMITS.maxMessageTtlMs)({ label, value });
    else if (name === 'pollIntervalMs') checkNumber(10, MAX_TIMEOUT_MS)({ label, value });
    else checkNumber(1, name === 'maxInboxBytes' ? MAX_INBOX_BYTES : MAX_COUNT)({ label, value });
  }
  return Object.freeze(messaging);
}

function checkModes(found: Found): readonly CommunicationMode[] {
  const modes = communicationModeSchema.array().min(1).safeParse(found.value);
  if (modes.success) return Object.freeze([...new Set(modes.data)]);
  throw unusable(found, 'must be a list of "ipc", "network" and "shared-volume"');
}

/** As a prefix of addresses: without a slash at its end. */
function checkAdvertise(found: Found): string {
  const url = typeof found.value === 'string' ? parseUrl(found.value) : undefined;
  if (url !== undefined && new URL(url).username === '') return url;
  throw unusable(found, 'must be a URL as "http://host.example:9000"');
}

function checkListen(found: Found): string {
  const listen = readListenOption(found.value);
  if (listen !== undefined) return formatListenOption(listen);
  throw unusable(found, 'must be a host and a port as "0.0.0.0:9000" or ":9000"');
}

function withoutUndefined<Given extends object>(
  given: Given,
): { [Key in keyof Given]: NonNullable<Given[Key]> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}

function unusable({ value, label }: Found, expectation: string): MembraneError {
  if (label === 'leaseToken') return new MembraneError('invalid_request', `${label} ${expectation}`);
  const shown =
    typeof value === 'string' ? `"${value}"` : inspect(value, { depth: 1, breakLength: Infinity });
  return new MembraneError('invalid_request', `${label} ${expectation}; got ${shown}`);
}
