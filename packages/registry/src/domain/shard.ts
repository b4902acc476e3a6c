/** How many small collections a large one is spread over: 4,000 each of a million, 40,000 of ten. */
export const SHARDS = 256;

/** FNV-1a, folded: ids often differ in a few characters only, wherever these are. */
export function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index += 1) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}
