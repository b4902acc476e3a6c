import { AddressList, FORBIDDEN_RANGES, LOOPBACK_RANGES, parseAddressRange } from '@membrane/protocol';

/** Networks that are not of the internet. */
const PRIVATE_RANGES: readonly string[] = Object.freeze([
  '10.0.0.0/8',
  '100.64.0.0/10',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '240.0.0.0/4',
  'fc00::/7',
  // Site-local, of older networks.
  'fec0::/10',
]);

const NETWORK_WORDS = ['loopback', 'private', 'public'] as const;
type NetworkWord = (typeof NETWORK_WORDS)[number];

const FORBIDDEN = new AddressList(FORBIDDEN_RANGES);
const LOOPBACK = new AddressList(LOOPBACK_RANGES);
const PRIVATE = new AddressList(PRIVATE_RANGES);
const HOST_NAME = /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i;

/** True for `loopback`, `private`, `public`, a network or an address, and a host name, also as `*.example.com`. */
export function isAddressRule(text: string): boolean {
  if (parseAddressRange(text) !== undefined) return true;
  // What ends with a number is read as an IPv4 address by URLs, so it is no name.
  return HOST_NAME.test(text) && !/(?:^|\.)(?:\d+|0x[0-9a-f]*)$/i.test(text);
}

/** Where the registry may connect to because somebody told it an address. */
export class AddressRules {
  readonly #words: ReadonlySet<NetworkWord>;
  readonly #names: readonly string[];
  readonly #listed: AddressList;
  readonly #listedOfForbidden: AddressList;

  /** Each must be an address rule; what no rule names is not allowed. */
  constructor(rules: readonly string[]) {
    const texts = rules.map((rule) => rule.toLowerCase());
    const ranges = texts.filter((text) => parseAddressRange(text) !== undefined);
    this.#words = new Set(NETWORK_WORDS.filter((word) => texts.includes(word)));
    this.#names = texts.filter((text) => !ranges.includes(text) && !isNetworkWord(text));
    this.#listed = new AddressList(ranges);
    this.#listedOfForbidden = new AddressList(ranges.filter(isWithinForbidden));
  }

  /** True where the name itself is allowed, so that it need not be that its addresses are. */
  allowsName(host: string): boolean {
    const name = host.replace(/\.$/, '').toLowerCase();
    return this.#names.some((rule) => (rule.startsWith('*.') ? name.endsWith(rule.slice(1)) : name === rule));
  }

  /** Why an IP address may not be used, or undefined where it may. */
  findFault(address: string, isNameAllowed: boolean): string | undefined {
    if (FORBIDDEN.has(address)) {
      if (this.#listedOfForbidden.has(address)) return undefined;
      return `${address} is link-local, a metadata service, or no single machine`;
    }
    if (isNameAllowed || this.#listed.has(address)) return undefined;
    const word = LOOPBACK.has(address) ? 'loopback' : PRIVATE.has(address) ? 'private' : 'public';
    return this.#words.has(word) ? undefined : `${address} is a ${word} address, and those are not allowed`;
  }
}

function isNetworkWord(text: string): boolean {
  return (NETWORK_WORDS as readonly string[]).includes(text);
}

/** A network that merely contains such addresses does not mean them. */
function isWithinForbidden(text: string): boolean {
  const range = parseAddressRange(text);
  return FORBIDDEN_RANGES.some((forbidden) => {
    const outer = parseAddressRange(forbidden);
    return (
      range !== undefined &&
      outer?.family === range.family &&
      outer.prefix <= range.prefix &&
      new AddressList([forbidden]).has(range.address)
    );
  });
}
