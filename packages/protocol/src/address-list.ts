import { BlockList, isIP } from 'node:net';
import { embeddedIPv4 } from './embedded-ipv4.js';

export interface AddressRange {
  readonly address: string;
  readonly prefix: number;
  readonly family: 'ipv4' | 'ipv6';
}

/**
 * Where nobody is to be led who follows an address that somebody else told: link-local, where clouds put the metadata
 * of a machine with its secrets, other places of such metadata, nobody, everybody.
 */
export const FORBIDDEN_RANGES: readonly string[] = Object.freeze([
  '0.0.0.0/8',
  '169.254.0.0/16',
  // Alibaba, Azure, Oracle.
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
  '224.0.0.0/4',
  '255.255.255.255',
  '::',
  // Amazon, Google, Scaleway.
  'fd00:ec2::254',
  'fd20:ce::254',
  'fd00:42::42',
  'fe80::/10',
  'ff00::/8',
]);

export const LOOPBACK_RANGES: readonly string[] = Object.freeze(['127.0.0.0/8', '::1']);

/** Networks (`10.0.0.0/8`) and single addresses. */
export class AddressList {
  readonly #list = new BlockList();

  /** @throws RangeError for a text that is neither. */
  constructor(ranges: readonly string[]) {
    for (const text of ranges) {
      const range = parseAddressRange(text);
      if (range === undefined) throw new RangeError(`"${text}" is no network and no address`);
      this.#list.addSubnet(range.address, range.prefix, range.family);
    }
  }

  /** An IPv6 address counts as the IPv4 one that it leads to, too. False for what is no IP address. */
  has(address: string): boolean {
    const [unscoped = ''] = address.split('%', 1);
    const family = isIP(unscoped);
    if (family === 0) return false;
    if (this.#list.check(unscoped, family === 6 ? 'ipv6' : 'ipv4')) return true;
    const embedded = embeddedIPv4(unscoped);
    return embedded !== undefined && this.#list.check(embedded);
  }
}

/** Undefined for what is neither a network nor an address. */
export function parseAddressRange(text: string): AddressRange | undefined {
  const match = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(text);
  const [, address = '', length] = match ?? [];
  const family = isIP(address);
  if (family === 0) return undefined;
  const bits = family === 4 ? 32 : 128;
  const prefix = length === undefined ? bits : Number(length);
  return prefix > bits ? undefined : { address, prefix, family: family === 4 ? 'ipv4' : 'ipv6' };
}
