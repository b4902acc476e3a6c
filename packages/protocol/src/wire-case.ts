/** The one place that turns snake_case (the wire) into camelCase (TypeScript) and back. */

type Camel<Key> = Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : Key;

/** Fields whose keys belong to the user, or that stay in wire shape (envelopes), and pass as they are. */
type OpaqueKey = 'metadata' | 'payload' | 'reply' | 'namespaces' | 'envelope' | 'heirs';
const OPAQUE_KEYS: ReadonlySet<string> = new Set<OpaqueKey>([
  'metadata',
  'payload',
  'reply',
  'namespaces',
  'envelope',
  'heirs',
]);

/** A wire shape as TypeScript shows it. */
export type CamelCased<T> = T extends readonly (infer Item)[]
  ? CamelCased<Item>[]
  : T extends object
    ? { [Key in keyof T as Camel<Key>]: Key extends OpaqueKey ? T[Key] : CamelCased<T[Key]> }
    : T;

function convertKeys(value: unknown, convertKey: (key: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => convertKeys(item, convertKey));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      convertKey(key),
      OPAQUE_KEYS.has(key) ? item : convertKeys(item, convertKey),
    ]),
  );
}

/** `{ instance_id }` as `{ instanceId }`, at every level but inside what is the user's own. */
export function fromWire<T>(value: T): CamelCased<T> {
  return convertKeys(value, (key) =>
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
  ) as CamelCased<T>;
}

/** `{ instanceId }` as `{ instance_id }`, at every level but inside what is the user's own. */
export function toWire<T>(value: CamelCased<T>): T {
  return convertKeys(value, (key) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)) as T;
}
