const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const TWO_POW_32 = 2 ** 32;

/**
 * Rendezvous hashing (Thaler and Ravishankar, 1998): for one key, every candidate has a score of its own, and the
 * highest wins. Where a candidate goes, only its keys move. With weights as in Schindelhauer and Schomaker, 2005: each
 * wins in proportion to its weight.
 * @param weight 0 wins only over other zeros.
 */
export function rendezvousScore(key: string, name: string, weight = 1): number {
  const share = (hash(`${key} ${name}`) + 0.5) / TWO_POW_32;
  return weight > 0 ? -weight / Math.log(share) : -1 / share;
}

/** A number from 0 to 1 that is the same for the same key. */
export function fractionOf(key: string): number {
  return hash(key) / TWO_POW_32;
}

/** FNV-1a with the last step of MurmurHash3, which spreads keys that differ in their ends alone. Not for secrets. */
function hash(text: string): number {
  let value = FNV_OFFSET;
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), FNV_PRIME);
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
