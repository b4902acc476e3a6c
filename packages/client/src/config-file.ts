import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MembraneError } from '@membrane/protocol';
import stripJsonComments from 'strip-json-comments';

/** Looked for in the working directory and every directory above it, in this order. */
const FILE_NAMES = [
  join('.devcontainer', 'devcontainer.json'),
  '.devcontainer.json',
  'membrane.json',
] as const;

/** Settings by the names of the newer layout. */
const KEYS = [
  'membraneId',
  'enableNamespace',
  'autoRegister',
  'registryUrl',
  'parentMembrane',
  'communicationMode',
  'namespaceId',
] as const;
export type ConfigKey = (typeof KEYS)[number];

/** Where the older layout keeps the same settings. */
const OLDER_KEYS: Readonly<Record<ConfigKey, readonly [string] | readonly ['registry', string]>> = {
  membraneId: ['id'],
  enableNamespace: ['registry', 'enabled'],
  autoRegister: ['registry', 'auto_register'],
  registryUrl: ['registry', 'url'],
  parentMembrane: ['parent'],
  communicationMode: ['communication_mode'],
  namespaceId: ['registry', 'namespace_id'],
};

export interface ConfigValue {
  readonly value: unknown;
  /** For people: the key and the file. */
  readonly source: string;
}

export type ConfigValues = Readonly<Partial<Record<ConfigKey, ConfigValue>>>;

export interface ConfigFileSearch {
  /** A file named by the user: it must be there, and no other is looked for. */
  readonly file: string | undefined;
  readonly workingDirectory: string;
  /** Read where none is found upward. */
  readonly lastResort: string;
}

/**
 * What the first config file found says. A `devcontainer.json` without a membrane feature is passed over.
 * @throws MembraneError `invalid_request` that names a file which cannot be read or is no JSON.
 */
export function readConfigFile({ file, workingDirectory, lastResort }: ConfigFileSearch): ConfigValues {
  if (file !== undefined) {
    const values = readFile(file);
    if (values === undefined) throw unusable(file, 'has no membrane feature');
    return values;
  }
  for (let directory = workingDirectory; ; directory = dirname(directory)) {
    for (const name of FILE_NAMES) {
      const path = join(directory, name);
      const values = existsSync(path) ? readFile(path) : undefined;
      if (values !== undefined) return values;
    }
    if (dirname(directory) === directory) break;
  }
  return (existsSync(lastResort) ? readFile(lastResort) : undefined) ?? {};
}

/** Undefined where it is a devcontainer.json that says nothing of membranes. */
function readFile(path: string): ConfigValues | undefined {
  const content = parse(path);
  if (path.endsWith('devcontainer.json')) {
    const feature = findFeature(content, path);
    return feature === undefined ? undefined : pick(path, (key) => [key, feature[key]]);
  }
  // The older layout has its own key for the id, the newer has no object `registry`.
  const isOlder = 'id' in content || 'registry' in content;
  if (!isOlder) return pick(path, (key) => [key, content[key]]);
  const registry = isObject(content['registry']) ? content['registry'] : {};
  return pick(path, (key) => {
    const [first, second] = OLDER_KEYS[key];
    return second === undefined ? [first, content[first]] : [`${first}.${second}`, registry[second]];
  });
}

function parse(path: string): Record<string, unknown> {
  let content: unknown;
  try {
    const text = readFileSync(path, 'utf8').replace(/^\u{feff}/u, '');
    content = JSON.parse(stripJsonComments(text, { trailingCommas: true }));
  } catch (cause) {
    const { name, message } = cause as Error;
    const isSyntax = name === 'SyntaxError';
    throw unusable(
      path,
      isSyntax ? `is not JSON with comments: ${message}` : `cannot be read: ${message}`,
      cause,
    );
  }
  if (!isObject(content)) throw unusable(path, 'must be a JSON object');
  return content;
}

/** The options of the membrane feature, under its short name or a full reference to it. */
function findFeature(content: Record<string, unknown>, path: string): Record<string, unknown> | undefined {
  const { features } = content;
  if (features === undefined || features === null) return undefined;
  if (!isObject(features)) throw unusable(path, 'has a key "features" that is no object');
  const name = Object.keys(features).find((key) => /^(?:.*\/)?membrane(?::[^/]*)?$/.test(key));
  if (name === undefined) return undefined;
  const feature = features[name];
  // Development containers may name a mere version in place of options.
  return isObject(feature) ? feature : {};
}

/** A null is an absent value. */
function pick(path: string, find: (key: ConfigKey) => readonly [string, unknown]): ConfigValues {
  const found = KEYS.map((key) => [key, ...find(key)] as const).filter(
    ([, , value]) => value !== undefined && value !== null,
  );
  return Object.fromEntries(
    found.map(([key, name, value]) => [key, { value, source: `${name} in ${path}` }]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unusable(path: string, why: string, cause?: unknown): MembraneError {
  return new MembraneError('invalid_request', `the config file ${path} ${why}`, { cause });
}
