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

/** True where arrays and objects nest more than `maxDepth` levels. Iterative: depth cannot exhaust the stack. */
export function isDeeperThan(value: unknown, maxDepth: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    const next: unknown[] = [];
    for (const item of level) {
      if (typeof item !== 'object' || item === null) continue;
      if (depth === maxDepth) return true;
      for (const child of Array.isArray(item) ? item : Object.values(item)) {
        if (typeof child === 'object' && child !== null) next.push(child);
      }
    }
    level = next;
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
