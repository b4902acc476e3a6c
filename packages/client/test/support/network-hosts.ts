import { spawnSync } from 'node:child_process';

const PREFIX = 'membrane-test-';

/** In the hub; every host has a way to this address, and by it to nobody else. */
export const HUB_ADDRESS = '10.99.0.1';

const HUB = 'hub';

export interface NetworkHosts {
  /** What runs a command on a host: its own interfaces, routes and loopback, the same files. */
  on(host: string): readonly string[];
}

/**
 * Hosts for the length of some work: network namespaces of Linux, each with a link to a hub where the registry is.
 * Together they are on one network, or each on one of its own; nobody forwards between those. Without the right to make
 * them a loud skip.
 */
export async function withNetworkHosts(
  { hosts, isOneNetwork }: { hosts: readonly string[]; isOneNetwork: boolean },
  work: (hosts: NetworkHosts) => Promise<void>,
): Promise<void> {
  removeStale();
  const all = [HUB, ...hosts];
  try {
    try {
      for (const host of all) make(host);
    } catch (error) {
      if (process.env['CI'] === 'true') throw error;
      process.stderr.write(`\nSKIPPED: hosts apart: ${(error as Error).message}\n`);
      return;
    }
    if (isOneNetwork) joinToOneNetwork(hosts);
    else hosts.forEach(linkToHub);
    await work({ on: (host) => ['ip', 'netns', 'exec', nameOf(host)] });
  } finally {
    for (const host of all) ip('netns', 'delete', nameOf(host));
  }
}

function joinToOneNetwork(hosts: readonly string[]): void {
  run('-n', nameOf(HUB), 'link', 'add', 'net', 'type', 'bridge');
  run('-n', nameOf(HUB), 'address', 'add', '10.99.1.1/24', 'dev', 'net');
  run('-n', nameOf(HUB), 'link', 'set', 'net', 'up');
  hosts.forEach((host, index) => {
    const port = plug(host, index);
    run('-n', nameOf(HUB), 'link', 'set', port, 'master', 'net');
    address(host, `10.99.1.${index + 2}/24`, '10.99.1.1');
  });
}

function linkToHub(host: string, index: number): void {
  const port = plug(host, index);
  run('-n', nameOf(HUB), 'address', 'add', `10.99.${index + 1}.1/30`, 'dev', port);
  address(host, `10.99.${index + 1}.2/30`, `10.99.${index + 1}.1`);
}

/** A cable from a host to the hub. Returns the hub's end. */
function plug(host: string, index: number): string {
  const port = `port${index}`;
  run('-n', nameOf(HUB), 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', nameOf(host));
  run('-n', nameOf(HUB), 'link', 'set', port, 'up');
  return port;
}

function address(host: string, own: string, gateway: string): void {
  run('-n', nameOf(host), 'address', 'add', own, 'dev', 'eth0');
  run('-n', nameOf(host), 'link', 'set', 'eth0', 'up');
  run('-n', nameOf(host), 'route', 'add', `${HUB_ADDRESS}/32`, 'via', gateway);
}

function make(host: string): void {
  run('netns', 'add', nameOf(host));
  run('-n', nameOf(host), 'link', 'set', 'lo', 'up');
  if (host === HUB) run('-n', nameOf(HUB), 'address', 'add', `${HUB_ADDRESS}/32`, 'dev', 'lo');
}

function nameOf(host: string): string {
  return `${PREFIX}${process.pid}-${host}`;
}

/** What a run that was killed has left. */
function removeStale(): void {
  for (const [name, pid] of ip('netns', 'list').stdout.matchAll(/^membrane-test-(\d+)-\S+/gm)) {
    try {
      process.kill(Number(pid), 0);
    } catch {
      ip('netns', 'delete', name);
    }
  }
}

/** @throws Error where there is no `ip`, or this user may not. */
function run(...args: string[]): void {
  const { status, stderr, error } = ip(...args);
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}

function ip(...args: string[]) {
  const { stdout, ...rest } = spawnSync('ip', args, { encoding: 'utf8' });
  return { ...rest, stdout: (stdout as string | null) ?? '' };
}
