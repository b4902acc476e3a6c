// Hosts on one machine: network namespaces of Linux, on two networks that meet in one of them. Needs root, and `ip` of
// iproute2.
//
//   registry 10.77.1.1 --- network a --- kitchen 10.77.1.2, hall 10.77.1.3, cook 10.77.1.4
//   registry 10.77.2.1 --- network b --- cellar 10.77.2.2,  hall 10.77.2.3
//
// Nobody forwards packets, so that kitchen and cellar reach the registry and the hall, and not each other.
import { spawnSync } from 'node:child_process';

const PREFIX = 'membrane-';

/** @param {string} host */
export const hostName = (host) => `${PREFIX}${process.pid}-${host}`;

/** @param {string} command */
function ip(command) {
  const { status, stderr, error } = spawnSync('ip', command.split(' '), { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${command}: ${error?.message ?? stderr.trim()}`);
}

/**
 * Puts a host on a network.
 * @param {string} host
 * @param {'net-a' | 'net-b'} network
 * @param {string} address
 */
function connect(host, network, address) {
  const outer = `${network.slice(-1)}-${host}`;
  ip(
    `-n ${hostName('registry')} link add name ${outer} type veth peer name ${network} netns ${hostName(host)}`,
  );
  ip(`-n ${hostName('registry')} link set ${outer} master ${network} up`);
  ip(`-n ${hostName(host)} address add ${address}/24 dev ${network}`);
  ip(`-n ${hostName(host)} link set ${network} up`);
}

/** What a run that was killed has left. */
function removeStale() {
  const { stdout = '' } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const [name, pid] of stdout.matchAll(/^membrane-(\d+)-[a-z]+/gm)) {
    try {
      process.kill(Number(pid), 0);
    } catch {
      ip(`netns delete ${name}`);
    }
  }
}

/** @throws Error where this user may not, or there is no `ip`. */
export function makeHosts() {
  removeStale();
  for (const host of ['registry', 'kitchen', 'cook', 'cellar', 'hall']) {
    ip(`netns add ${hostName(host)}`);
    ip(`-n ${hostName(host)} link set lo up`);
  }
  for (const [network, address] of [
    ['net-a', '10.77.1.1'],
    ['net-b', '10.77.2.1'],
  ]) {
    ip(`-n ${hostName('registry')} link add name ${network} type bridge`);
    ip(`-n ${hostName('registry')} address add ${address}/24 dev ${network}`);
    ip(`-n ${hostName('registry')} link set ${network} up`);
  }
  connect('kitchen', 'net-a', '10.77.1.2');
  connect('cook', 'net-a', '10.77.1.4');
  connect('cellar', 'net-b', '10.77.2.2');
  connect('hall', 'net-a', '10.77.1.3');
  connect('hall', 'net-b', '10.77.2.3');
  // The hall tells everybody one address; in the cellar it is known where that is.
  ip(`-n ${hostName('cellar')} route add 10.77.1.3 via 10.77.2.3`);
}

export function removeHosts() {
  const { stdout = '' } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  for (const [name] of stdout.matchAll(/^membrane-(\d+)-[a-z]+/gm)) {
    if (name.startsWith(hostName(''))) ip(`netns delete ${name}`);
  }
}
