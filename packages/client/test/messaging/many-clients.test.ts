import { fileURLToPath } from 'node:url';
import type { JsonValue } from '@membrane/protocol';
import { useOneHost } from '../support/one-host.js';

const MANY_CLIENTS = fileURLToPath(new URL('../fixtures/many-clients.mjs', import.meta.url));

const COUNT = 300;

/** Connections to the registry, which all clients of a process share. */
const MAX_SHARED_SOCKETS = 64;

const { begin, start } = useOneHost();

interface Measured {
  readonly sockets: number;
  readonly listeners: number;
  readonly heapMiB: number;
}

it('many clients that receive nothing open nothing before they send, and one connection each then', async () => {
  const { common, join } = await begin();
  const oven = await join('oven');
  const args = ['--expose-gc', MANY_CLIENTS, JSON.stringify(common), String(COUNT)];
  const { said, ended } = start(process.execPath, args);
  expect(await ended).toBe(0);
  expect(said.stderr).toBe('');
  const printed = (word: string): Measured => {
    const line = new RegExp(`^${word} (.*)$`, 'm').exec(said.stdout);
    if (line === null) throw new Error(`it printed no ${word}: ${said.stdout}`);
    return JSON.parse(line[1] ?? '') as Measured;
  };
  const [before, created, sent, closed] = ['before', 'created', 'sent', 'closed'].map(printed);
  const payloads = oven.handled().sort((one, other) => Number(one) - Number(other));
  expect(payloads).toEqual(Array.from({ length: COUNT }, (_, number): JsonValue => number));
  expect(created?.sockets).toBe(before?.sockets);
  // On a machine with much to do a second way may have been tried.
  expect(sent?.sockets).toBeLessThanOrEqual(2 * COUNT + MAX_SHARED_SOCKETS);
  expect([created, sent, closed].map((measured) => measured?.listeners)).toEqual([0, 0, 0]);
  expect(sent?.heapMiB).toBeLessThan((before?.heapMiB ?? 0) + 200);
  expect(closed?.sockets).toBe(before?.sockets);
}, 120_000);
