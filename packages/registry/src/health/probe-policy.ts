import type { LookupAddress } from 'node:dns';
import { AddressList, LOOPBACK_RANGES } from '@membrane/protocol';
import type { AddressRules } from './address-rules.js';

const LOOPBACK = new AddressList(LOOPBACK_RANGES);

/** Why something is not probed, in words for an operator. */
export interface ProbeRefusal {
  readonly refusal: string;
}

export interface ProbePolicyOptions {
  readonly rules: AddressRules;
  /** Where this registry listens; undefined until it does. */
  readonly ownPort: () => number | undefined;
  /** The addresses of this machine. */
  readonly ownAddresses: () => readonly string[];
}

/** What the registry asks on behalf of those who register: the URL is theirs, so it decides where that may lead. */
export class ProbePolicy {
  readonly #options: ProbePolicyOptions;

  constructor(options: ProbePolicyOptions) {
    this.#options = options;
  }

  /** A URL as far as that can be judged without its addresses. */
  readUrl(text: string): URL | ProbeRefusal {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
      return { refusal: 'it is no http or https URL' };
    }
    if (url.username !== '' || url.password !== '') return { refusal: 'it has credentials' };
    return url;
  }

  /** Those of the addresses of its host that may be connected to. */
  findAllowed(url: URL, addresses: readonly LookupAddress[]): readonly LookupAddress[] | ProbeRefusal {
    const isNameAllowed = this.#options.rules.allowsName(url.hostname);
    const faults: string[] = [];
    const allowed = addresses.filter(({ address }) => {
      const fault = this.#findFault(url, address, isNameAllowed);
      if (fault !== undefined) faults.push(fault);
      return fault === undefined;
    });
    return allowed.length === 0 ? { refusal: faults[0] ?? 'its name has no address' } : allowed;
  }

  #findFault(url: URL, address: string, isNameAllowed: boolean): string | undefined {
    const { rules, ownPort, ownAddresses } = this.#options;
    // Some of its answers change what it holds, as those that hand out messages.
    if (
      portOf(url) === ownPort() &&
      (LOOPBACK.has(address) || new AddressList(ownAddresses()).has(address))
    ) {
      return 'it leads to this registry itself';
    }
    return rules.findFault(address, isNameAllowed);
  }
}

/** Also where the URL leaves it to its scheme. */
export function portOf({ port, protocol }: URL): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}
