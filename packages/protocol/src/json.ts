import { LIMITS } from './limits.js';

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };
export type JsonObject = Record<string, JsonValue>;

const utf8 = new TextEncoder();

/** Length in UTF-8. A string of n UTF-16 units takes n to 3n bytes, so most need no encoding to be judged. */
export function isLongerThan(text: string, maxBytes: number): boolean {
  if (text.length > maxBytes) return true;
  if (text.length * 3 <= maxBytes) return false;
  return utf8.encode(text).length > maxBytes;
}

/** True where arrays and objects nest more than `maxDepth` levels; it goes no deeper itself. */
export function isDeeperThan(value: unknown, maxDepth: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (maxDepth === 0) return true;
  if (Array.isArray(value)) return value.some((item) => isDeeperThan(item, maxDepth - 1));
  // Most values are no objects: no list of them is made.
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key];
    if (typeof child === 'object' && child !== null && isDeeperThan(child, maxDepth - 1)) return true;
  }
  return false;
}

/**
 * What is wrong with a value as metadata, or undefined. `JSON.parse` makes `__proto__` an own key, and code that
 * copies such an object by assignment changes its prototype: it is refused at every level.
 */
export function findMetadataFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be a JSON object';
  if (isDeeperThan(value, LIMITS.maxJsonDepth)) return `must nest at most ${LIMITS.maxJsonDepth} levels`;
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch {
    // A bigint, or what says itself that it has no such form.
    return 'must be JSON';
  }
  if (text.includes('"__proto__"') && hasPrototypeKey(value)) return 'must not have a key "__proto__"';
  return isLongerThan(text, LIMITS.maxMetadataBytes)
    ? `must be at most ${LIMITS.maxMetadataBytes} bytes as JSON`
    : undefined;
}

function hasPrototypeKey(value: object): boolean {
  return (
    Object.hasOwn(value, '__proto__') ||
    Object.values(value).some(
      (child) => typeof child === 'object' && child !== null && hasPrototypeKey(child as object),
    )
  );
}
