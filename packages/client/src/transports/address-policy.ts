import { lookup as dnsLookup, type LookupAddress } from 'node:dns';
import { realpath } from 'node:fs/promises';
import type { LookupFunction } from 'node:net';
import { dirname } from 'node:path';
import { AddressList, FORBIDDEN_RANGES, LOOPBACK_RANGES, MembraneError } from '@membrane/protocol';
import type { RouteAddress } from './transport.js';

const NEVER = new AddressList(FORBIDDEN_RANGES);
const FORBIDDEN_NAMES = ['metadata.google.internal'];
const LOOPBACK = new AddressList(LOOPBACK_RANGES);

/** An address that may be used, as connections are made to it. */
export interface Dial {
  /** HTTP URL without a slash at its end; below it are the paths of a receiver. */
  readonly url: string;
  /** In place of the host of the URL. */
  readonly socketPath?: string;
  /** Resolves the host of the URL, and refuses what it must not resolve to. */
  readonly lookup?: LookupFunction;
}

export interface AddressPolicyOptions {
  /**
   * Whether this machine's own loopback may be meant: right where the registry is there too. A loopback address from
   * a registry elsewhere is another machine's, or a trick.
   */
  readonly allowLoopback: boolean;
  /** Sockets are used in here alone; undefined: none are. */
  readonly socketDirectory: string | undefined;
  /** For tests. */
  readonly resolve?: typeof dnsLookup;
}

/** Which addresses that a registry tells a sender may connect to. */
export interface AddressPolicy {
  /** @throws MembraneError `forbidden` that says why. */
  findDial(to: RouteAddress): Dial | Promise<Dial>;
}

/** True for a name or an address of this machine's loopback, as a URL has it. */
export function isLoopbackHost(host: string): boolean {
  const name = host
    .replace(/^\[|\]$/g, '')
    .replace(/\.$/, '')
    .toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || LOOPBACK.has(name);
}

export function createAddressPolicy(options: AddressPolicyOptions): AddressPolicy {
  const lookup = createLookup(options);
  return {
    findDial: ({ kind, address }) =>
      kind === 'ipc' ? findSocket(address, options) : { url: checkUrl(address, options), lookup },
  };
}

function checkUrl(address: string, { allowLoopback }: AddressPolicyOptions): string {
  const refuse = (why: string): MembraneError =>
    new MembraneError('forbidden', `the address ${shorten(address)} is not used: ${why}`);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw refuse('it must be an http or https URL');
  }
  if (url.username !== '' || url.password !== '') throw refuse('it has credentials');
  if (url.search !== '' || url.hash !== '') throw refuse('it has a query or a fragment');
  const why = findFault(url.hostname.replace(/^\[|\]$/g, ''), allowLoopback);
  if (why !== undefined) throw refuse(why);
  return url.href.replace(/\/+$/, '');
}

/** What is wrong with an IP address or a name, as far as that can be seen from it. */
function findFault(host: string, allowLoopback: boolean): string | undefined {
  const name = host.replace(/\.$/, '').toLowerCase();
  if (FORBIDDEN_NAMES.includes(name) || NEVER.has(name)) {
    return `${name} is link-local, a metadata service, or no single machine`;
  }
  if (!allowLoopback && isLoopbackHost(name)) {
    return `${name} is this machine's loopback, and the registry that told it is elsewhere`;
  }
  return undefined;
}

function createLookup({ allowLoopback, resolve = dnsLookup }: AddressPolicyOptions): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found: LookupAddress[] | undefined) => {
      const addresses = found ?? [];
      const [first] = addresses;
      if (error !== null || first === undefined) {
        callback(error ?? new Error(`${hostname} has no address`), '');
        return;
      }
      for (const { address } of addresses) {
        const why = findFault(address, allowLoopback);
        if (why === undefined) continue;
        callback(new MembraneError('forbidden', `the host ${hostname} is not used: ${why}`), '');
        return;
      }
      if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

async function findSocket(path: string, { socketDirectory }: AddressPolicyOptions): Promise<Dial> {
  if (socketDirectory === undefined) {
    throw new MembraneError('forbidden', `the socket ${shorten(path)} is not used: this client uses none`);
  }
  let real: string;
  try {
    // The socket itself may not be a link either.
    real = await realpath(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // Where it would be tells whether one may say that it is not there.
    if (code === 'ENOENT' && (await isSame(dirname(path), socketDirectory))) {
      throw new MembraneError('not_delivered', `${path}: there is no such socket`, { cause });
    }
    throw forbiddenSocket(path, socketDirectory, cause);
  }
  if (!(await isSame(dirname(real), socketDirectory))) throw forbiddenSocket(path, socketDirectory);
  return { url: 'http://localhost', socketPath: real };
}

async function isSame(directory: string, other: string): Promise<boolean> {
  const [left, right] = await Promise.all(
    [directory, other].map(async (path) => realpath(path).catch(() => undefined)),
  );
  return left !== undefined && left === right;
}

function forbiddenSocket(path: string, socketDirectory: string, cause?: unknown): MembraneError {
  return new MembraneError(
    'forbidden',
    `the socket ${shorten(path)} is not used: it is outside the socket directory ${socketDirectory}`,
    { cause },
  );
}

function shorten(text: string): string {
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}
