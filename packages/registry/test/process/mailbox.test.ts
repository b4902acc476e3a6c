import { setTimeout as sleep } from 'node:timers/promises';
import type { DeadLetter, MailboxItem, RegistryStatus } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send, type HttpAnswer } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { useRegistryProcesses } from '../support/registry-process.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();
const startRegistry = useRegistryProcesses();

const post = (url: string, id: string, rest: object = {}): Promise<HttpAnswer> =>
  send(url, '/messages/oven', { body: { id, sender: 'cook', payload: id, ...rest } });
const collect = async (url: string): Promise<MailboxItem[]> =>
  (await send(url, '/messages/oven?max=1000')).json as MailboxItem[];
const idsOf = (items: readonly MailboxItem[]): unknown[] => items.map(({ envelope }) => envelope.id);

it('has a message after it was killed as soon as it had acknowledged it', async () => {
  const data = await makeDirectory();
  const expected: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const registry = await startRegistry(['--port', '0', '--data', data]);
    if (round === 0) await send(registry.url, '/register', { body: registration('oven') });
    const id = `m-${round}`;
    expect((await post(registry.url, id)).status).toBe(202);
    expected.push(id);
    expect(await registry.end('SIGKILL')).toBeNull();
  }
  const { url } = await startRegistry(['--port', '0', '--data', data]);
  expect(idsOf(await collect(url))).toEqual(expected);
}, 60_000);

it('loses nothing acknowledged when it is killed at work, and keeps what became of messages', async () => {
  const data = await makeDirectory();
  const first = await startRegistry(['--port', '0', '--data', data]);
  await send(first.url, '/register', { body: registration('oven', { heartbeat_interval_ms: 60_000 }) });
  const settled = ['done', 'failed', 'expired'];
  await post(first.url, 'done');
  await post(first.url, 'failed');
  const [done, failed] = await collect(first.url);
  const acks = [
    { receipt: done?.receipt, outcome: 'processed' },
    { receipt: failed?.receipt, outcome: 'failed', reason: 'too hot' },
  ];
  await send(first.url, '/messages/oven/ack', { body: { acks } });
  await post(first.url, 'expired', { ttl_ms: 1 });
  await eventually('it has died', async () => {
    const letters = (await send(first.url, '/messages/oven/dead')).json as DeadLetter[];
    return letters.length === 2;
  });
  await post(first.url, 'handed-out');
  expect(idsOf(await collect(first.url))).toEqual(['handed-out']);

  const acknowledged: string[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (;;) {
      const id = `m-${(next += 1)}`;
      const answer = await post(first.url, id).catch(() => undefined);
      if (answer?.status !== 202) return;
      acknowledged.push(id);
    }
  };
  const workers = Array.from({ length: 8 }, work);
  await eventually('it is at work', () => acknowledged.length > 50);
  expect(await first.end('SIGKILL')).toBeNull();
  await Promise.all(workers);

  const { url } = await startRegistry(['--port', '0', '--data', data]);
  const items = await collect(url);
  const ids = idsOf(items);
  expect(ids[0]).toBe('handed-out');
  expect(items[0]?.envelope.attempt).toBe(2);
  expect(acknowledged.filter((id) => !ids.includes(id))).toEqual([]);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => settled.includes(String(id)))).toEqual([]);
  const letters = (await send(url, '/messages/oven/dead')).json as DeadLetter[];
  expect(letters.map(({ message_id: id, code }) => [id, code])).toEqual([
    ['failed', 'handler_failed'],
    ['expired', 'expired'],
  ]);
  const { mailbox } = (await send(url, '/status')).json as RegistryStatus;
  expect(mailbox).toMatchObject({ messages: ids.length, dead_letters: 2 });
}, 60_000);

it('takes its bounds from flags and the environment', async () => {
  const { url } = await startRegistry(
    ['--port', '0', '--data', ':memory:', '--mailbox-max-messages', '2', '--mailbox-max-bytes', '64KiB'],
    { MEMBRANE_REGISTRY_MAILBOX_MAX_TOTAL_BYTES: '100KiB' },
  );
  for (const id of ['oven', 'sink']) await send(url, '/register', { body: registration(id) });
  const pad = 'x'.repeat(40_000);
  expect((await post(url, 'a', { payload: pad })).status).toBe(202);
  expect((await post(url, 'b', { payload: pad })).json).toMatchObject({
    detail: 'the mailbox of "oven" holds at most 65536 bytes',
  });
  expect((await post(url, 'b')).status).toBe(202);
  expect((await post(url, 'c')).json).toMatchObject({
    detail: 'the mailbox of "oven" holds at most 2 messages',
  });
  const toSink = { body: { sender: 'cook', payload: 'x'.repeat(62_000) } };
  expect((await send(url, '/messages/sink', toSink)).json).toMatchObject({
    code: 'mailbox_full',
    detail: 'all mailboxes of this registry hold at most 102400 bytes',
  });
});

it('answers a collector that waits when it is told to end', async () => {
  const registry = await startRegistry(['--port', '0', '--data', await makeDirectory()]);
  await send(registry.url, '/register', { body: registration('oven') });
  const waiting = send(registry.url, '/messages/oven?wait_ms=60000');
  await send(registry.url, '/status');
  const ended = registry.end('SIGTERM');
  const answer = await Promise.race([waiting, sleep(10_000, undefined, { ref: false })]);
  expect(answer).toMatchObject({ status: 200, json: [] });
  expect(await ended).toBe(0);
});
