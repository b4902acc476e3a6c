import { isIPv6 } from 'node:net';

/** Groups of 16 bits in an IPv6 address. */
const GROUPS = 8;

/** Leading groups of a form, and where the IPv4 address begins in it. */
const FORMS: readonly { readonly prefix: readonly number[]; readonly at: number }[] = [
  // IPv4-compatible and IPv4-mapped: RFC 4291, 2.5.5.
  { prefix: [0, 0, 0, 0, 0, 0], at: 6 },
  { prefix: [0, 0, 0, 0, 0, 0xffff], at: 6 },
  // IPv4-translated: RFC 7915.
  { prefix: [0, 0, 0, 0, 0xffff, 0], at: 6 },
  // NAT64: RFC 6052; of a local network, as it is commonly split: RFC 8215.
  { prefix: [0x64, 0xff9b, 0, 0, 0, 0], at: 6 },
  { prefix: [0x64, 0xff9b, 1, 0, 0, 0], at: 6 },
  // 6to4: RFC 3056.
  { prefix: [0x2002], at: 1 },
];

/** The IPv4 address to which an IPv6 one leads, by whoever translates; undefined for one that leads to none. */
export function embeddedIPv4(address: string): string | undefined {
  const groups = groupsOf(address);
  // The loopback and "no address" have forms of their own.
  if (groups === undefined || groups.slice(0, GROUPS - 1).every((group) => group === 0)) return undefined;
  const form = FORMS.find(({ prefix }) => prefix.every((group, index) => groups[index] === group));
  if (form === undefined) return undefined;
  const [high = 0, low = 0] = groups.slice(form.at, form.at + 2);
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
}

function groupsOf(address: string): number[] | undefined {
  const [unscoped = ''] = address.split('%', 1);
  if (!isIPv6(unscoped)) return undefined;
  // A URL writes it with hexadecimal groups alone.
  const [left = '', right] = new URL(`http://[${unscoped}]`).hostname.slice(1, -1).split('::');
  const numbersOf = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16));
  const first = numbersOf(left);
  if (right === undefined) return first;
  const last = numbersOf(right);
  return [...first, ...Array.from({ length: GROUPS - first.length - last.length }, () => 0), ...last];
}
