import type { Lease, NamespaceClient } from '@membrane/client';
import type { Output } from './output.js';

/** `25 s` or `1.25 s`. */
export function formatMs(ms: number): string {
  return `${Number((ms / 1_000).toFixed(2))} s`;
}

export function describeLease({ id, namespace, instanceId, parent }: Lease): string {
  const instance = instanceId === 'default' ? '' : ` (${instanceId})`;
  const place = parent === null ? 'as a root' : `below "${parent}"`;
  return `"${id}"${instance} ${place} in namespace "${namespace}"`;
}

/** Says on standard error what befalls a registration while a command keeps it. */
export function sayWhatHappens(client: NamespaceClient, output: Output): void {
  const say = (text: string): void => {
    output.say(`membrane: ${text}`);
  };
  const name = `"${client.id}"`;
  client.on('registryUnreachable', ({ message }) => {
    say(`${message}; ${name} goes on trying`);
  });
  client.on('registryReachable', () => {
    say(`a registry answers again, at ${client.registry.url}`);
  });
  client.on('leaseLost', ({ reason }) => {
    say(
      reason === 'expired'
        ? `no registry has heard of ${name} for so long that its name may be free`
        : `the registry does not know ${name} any more; it registers again`,
    );
  });
  client.on('registrationFailed', ({ error, willRetry }) => {
    if (willRetry) say(`${name} could not be registered yet: ${error.message}`);
  });
}

/** Says on standard error that a registration is refused for good. */
export function sayWhatIsRefused(client: NamespaceClient, output: Output): void {
  client.on('registrationFailed', ({ error, willRetry }) => {
    if (!willRetry) output.say(`membrane: "${client.id}" could not be registered: ${error.message}`);
  });
}

/** Says on standard error by what a registration ended that nobody ended here, where the command goes on. */
export function sayWhatEnds(client: NamespaceClient, output: Output): void {
  sayWhatIsRefused(client, output);
  for (const event of ['superseded', 'removed'] as const) {
    client.on(event, ({ message }) => {
      output.say(`membrane: ${message}; it is not renewed any more`);
    });
  }
}
