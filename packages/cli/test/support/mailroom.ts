import { eventually } from './eventually.js';
import type { User } from './membrane.js';
import type { Process } from './processes.js';
import { idsAt } from './registry-view.js';

/** A user whose registry is known. */
export type Correspondent = User & { readonly registry: { readonly url: string } };

/** `membrane receive`, registered. */
export async function startReceiver(
  user: Correspondent,
  id: string,
  args: readonly string[] = [],
): Promise<Process> {
  const receiver = user.start(['receive', ...args, '--id', id]);
  await eventually(`"${id}" is registered`, async () => {
    if (receiver.child.exitCode !== null) throw new Error(receiver.said.stderr);
    return (await idsAt(user.registry.url)).includes(id);
  });
  return receiver;
}

/** Ends a receiver as Ctrl-C does, and resolves to its exit code. */
export function interrupt({ child, ended }: Process): Promise<number | NodeJS.Signals> {
  child.kill('SIGINT');
  return ended;
}

/** Waits for what a process prints on standard output. */
export function printed({ said }: Process, text: string): Promise<true> {
  return eventually(`it prints ${JSON.stringify(text)}`, () => said.stdout.includes(text));
}
