/**
 * A small generator of numbers from 0 to 1 that a seed determines (mulberry32).
 * @param {number} seed
 */
export function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * @template Item
 * @param {readonly Item[]} items
 * @param {() => number} random
 */
export function pick(items, random) {
  return items[Math.floor(random() * items.length)];
}

/**
 * Draws all items in a random order, then all again: none is left out for long.
 * @template Item
 * @param {readonly Item[]} items
 * @param {() => number} random
 * @returns {() => Item}
 */
export function createBag(items, random) {
  /** @type {Item[]} */
  let left = [];
  return () => {
    if (left.length === 0) left = [...items];
    return left.splice(Math.floor(random() * left.length), 1)[0];
  };
}
