import { cp } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Problem, RegistryStatus } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { useEventSources } from '../support/event-source.js';
import { send, type HttpAnswer } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useRegistries } from '../support/test-registry.js';
import { wordsOf } from '../support/watching.js';

const startRegistry = useRegistries();
const makeDirectory = useTemporaryDirectories();
const watch = useEventSources();

async function register(url: string, id: string, rest: object = {}): Promise<HttpAnswer> {
  return send(url, '/register', { body: { ...registration(id), heartbeat_interval_ms: 60_000, ...rest } });
}

const watchers = async (url: string): Promise<number | undefined> =>
  ((await send(url, '/status')).json as RegistryStatus).watch?.streams;

describe('GET /watch', () => {
  it('is a stream of server-sent events that begins with the present and tells of each change', async () => {
    const { url } = await startRegistry();
    const first = await register(url, 'house');
    const source = await watch(url, '/watch');
    expect(source.status).toBe(200);
    expect(source.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-membrane-revision': first.headers['x-membrane-revision'],
      connection: 'close',
    });
    expect(source.headers['transfer-encoding']).toBeUndefined();
    await source.hears('where it begins', ({ id }) => id === first.headers['x-membrane-revision']);
    const oven = await register(url, 'oven', { parent: 'house', metadata: { text: 'two\nlines \u2028' } });
    const { data, id, name } = await source.hears('the oven', ({ name }) => name === 'registered');
    expect([name, id]).toEqual(['registered', oven.headers['x-membrane-revision']]);
    expect(data).toMatchObject({
      event: 'registered',
      id: 'oven',
      record: { parent: 'house', metadata: { text: 'two\nlines \u2028' } },
      after: { ancestors: ['house'] },
    });
    expect(source.retryMs).toBeGreaterThan(0);
  });

  it.each([
    ['since', (id: string) => ['/watch?since=', id, {}] as const],
    [
      'Last-Event-ID, whatever since says',
      (id: string) => ['/watch?since=0', '', { 'last-event-id': id }] as const,
    ],
  ])('goes on by %s', async (_, by) => {
    const { url } = await startRegistry();
    await register(url, 'a');
    const source = await watch(url, '/watch');
    const b = register(url, 'b');
    const { id = '' } = await source.hears('b', ({ name }) => name === 'registered');
    await b;
    source.close();
    await register(url, 'c');
    await register(url, 'd');
    const [path, query, headers] = by(id);
    const next = await watch(url, `${path}${query}`, headers);
    await next.hears('the present', ({ name }) => name === 'bookmark');
    expect(wordsOf(next.heard)).toEqual(['c registered', 'd registered', 'bookmark']);
    const bare = await watch(url, `/watch?since=${id.split(':')[1] ?? ''}`);
    await bare.hears('the present', ({ name }) => name === 'bookmark');
    expect(wordsOf(bare.heard)).toEqual(wordsOf(next.heard));
  });

  it('goes on across a restart, and is told to begin anew by another registry', async () => {
    const data = await makeDirectory();
    const { registry, url } = await startRegistry({ data });
    await register(url, 'house');
    await register(url, 'shop');
    await register(url, 'bakery', { parent: 'shop' });
    await register(url, 'oven', { parent: 'bakery' });
    const source = await watch(url, '/watch?subtree=house');
    const { id = '' } = await source.hears('the start', ({ name }) => name === 'bookmark');
    source.close();
    await register(url, 'bakery', { parent: 'house' });
    await send(url, '/deregister', { body: { id: 'house' } });
    await registry.stop();

    const { url: again } = await startRegistry({ data });
    const next = await watch(again, '/watch?subtree=house', { 'last-event-id': id });
    await next.hears('the present', ({ name }) => name === 'bookmark');
    await register(again, 'door', { parent: 'oven' });
    await next.hears('what comes then', ({ data }) => 'id' in data && data.id === 'door');
    expect(new Set(wordsOf(next.heard))).toEqual(
      new Set([
        'bakery registered',
        'house deregistered',
        'bakery moved',
        'oven moved',
        'bookmark',
        'door registered',
      ]),
    );

    const { url: other } = await startRegistry();
    await register(other, 'x');
    const reset = await watch(other, `/watch?since=${id}`);
    const { data: told, id: from } = await reset.hears('the reset', ({ name }) => name === 'reset');
    expect(told).toMatchObject({ event: 'reset', reason: 'other_log' });
    expect(from).toBe((await send(other, '/status')).headers['x-membrane-revision']);
    await register(other, 'y');
    await reset.hears('what comes then', ({ data }) => 'id' in data && data.id === 'y');
  });

  it('is told to begin anew where the data was put back, whatever has happened since', async () => {
    const [data, copy] = [await makeDirectory(), await makeDirectory()];
    const before = await startRegistry({ data });
    const kept = await register(before.url, 'kept');
    await before.registry.stop();
    await cp(data, copy, { recursive: true });
    const { registry, url } = await startRegistry({ data });
    for (const id of ['lost-1', 'lost-2']) await register(url, id);
    const { headers } = await send(url, '/status');
    await registry.stop();

    const { url: again } = await startRegistry({ data: copy });
    const since = String(headers['x-membrane-revision']);
    const early = await watch(again, `/watch?since=${since}`);
    await early.hears('the reset', ({ name }) => name === 'reset');
    for (const id of ['new-1', 'new-2', 'new-3']) await register(again, id);
    const late = await watch(again, '/watch', { 'last-event-id': since });
    const { data: told } = await late.hears('the reset', ({ name }) => name === 'reset');
    expect(told).toMatchObject({ reason: 'other_log' });
    const read = await send(again, `/list?since=${since}&wait_ms=60000`);
    expect((read.json as { id: string }[]).map(({ id }) => id)).toEqual(['kept', 'new-1', 'new-2', 'new-3']);
    expect((await send(again, `/list?min_revision=${since}`)).status).toBe(400);
    expect((await send(again, `/events?since=${since}`)).status).toBe(400);

    // What both have in common is no other log.
    const common = await watch(again, `/watch?since=${String(kept.headers['x-membrane-revision'])}`);
    await common.hears('the present', ({ name }) => name === 'bookmark');
    expect(wordsOf(common.heard)).toEqual([
      'new-1 registered',
      'new-2 registered',
      'new-3 registered',
      'bookmark',
    ]);
  });

  it('says so where the log does not go back that far, after a restart too', async () => {
    const data = await makeDirectory();
    const parts = { eventLogLimits: { maxChanges: 5, maxBytes: 1e6 } };
    const { registry, url } = await startRegistry({ data }, parts);
    const { headers } = await register(url, 'first');
    for (let count = 0; count < 20; count += 1) await register(url, `m-${count}`);
    const path = `/watch?since=${String(headers['x-membrane-revision'])}`;
    for (const each of [url, undefined]) {
      if (each === undefined) await registry.stop();
      const source = await watch(each ?? (await startRegistry({ data }, parts)).url, path);
      const { data: told } = await source.hears('the reset', ({ name }) => name === 'reset');
      expect(told).toMatchObject({ reason: 'too_old' });
    }
  });

  it('waits for a revision that is still to come, and gives up in 5 s', async () => {
    const { url } = await startRegistry();
    const { json } = await register(url, 'a');
    const { revision } = json as { revision: number };
    const waiting = watch(url, `/watch?since=${revision + 1}`);
    const never = watch(url, `/watch?since=${revision + 1_000}`);
    await register(url, 'b');
    const source = await waiting;
    await source.hears('the present', ({ name }) => name === 'bookmark');
    expect(wordsOf(source.heard)).toEqual(['bookmark']);
    const refused = await never;
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBe('1');
    await eventually('it says why', () => refused.isClosed);
    expect(JSON.parse(refused.text) as Problem).toMatchObject({ code: 'not_ready' });
  });

  it.each([
    ['/watch?since=yesterday', {}, 'since must be a revision'],
    ['/watch', { 'last-event-id': 'yesterday' }, 'must be a revision'],
    ['/watch?subtree=a&ids=b', {}, 'ids must not be given together with subtree'],
    ['/watch?ids=', {}, 'ids[0] must be'],
    ['/watch?ids=a,,b', {}, 'ids[1] must be'],
    ['/watch?ids=a,b%20c', {}, 'ids[1] must be'],
    [
      `/watch?ids=${Array.from({ length: 101 }, (_, index) => `m${index}`).join()}`,
      {},
      'ids must be at most 100 ids',
    ],
    ['/watch?subtree=', {}, 'subtree must be'],
    ['/watch?namespace=a/b', {}, 'namespace must be'],
    ['/watch?since=1&since=2', {}, 'since must be given once'],
  ])('refuses %s %j in words', async (path, headers, words) => {
    const { url } = await startRegistry();
    const { status, json } = await send(url, path, { headers });
    expect([status, (json as Problem).code]).toEqual([400, 'invalid_request']);
    expect((json as Problem).detail).toContain(words);
  });

  it.each(['HEAD', 'POST', 'PUT', 'DELETE'])('refuses %s', async (method) => {
    const { url } = await startRegistry();
    const { status, headers } = await send(url, '/watch', { method });
    expect([status, headers['allow']]).toEqual([405, 'GET']);
  });

  it('takes ids that nobody has registered yet', async () => {
    const { url } = await startRegistry();
    const source = await watch(url, '/watch?ids=oven,grill');
    await source.hears('the start', ({ name }) => name === 'bookmark');
    await register(url, 'door');
    await register(url, 'grill');
    await source.hears('the grill', ({ name }) => name === 'registered');
    expect(wordsOf(source.heard)).toEqual(['bookmark', 'grill registered']);
  });

  it('has room for so many, and for another when one has left', async () => {
    const { url } = await startRegistry({ maxWatchStreams: 2 });
    const [first] = await Promise.all([watch(url, '/watch'), watch(url, '/watch')]);
    expect(await watchers(url)).toBe(2);
    const { status, headers, json } = await send(url, '/watch');
    expect([status, headers['retry-after'], (json as Problem).code]).toEqual([429, '5', 'rate_limited']);
    first.close();
    await eventually('the place is free', async () => (await watchers(url)) === 1);
    expect((await watch(url, '/watch')).status).toBe(200);
  });

  it('may be asked for before an earlier request on the connection is answered', async () => {
    const { url } = await startRegistry();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    for (const path of ['/discover/oven?wait_ms=60000', '/watch'])
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    await eventually('it watches', async () => (await watchers(url)) === 1);
    await register(url, 'oven');
    await eventually('both are answered', () => text.includes('event: registered'));
    await register(url, 'mixer');
    await eventually('it goes on', () => text.includes('"id":"mixer"'));
    expect(text.match(/HTTP\/1\.1 200/g)).toHaveLength(2);
    socket.destroy();
    await eventually('it is forgotten', async () => (await watchers(url)) === 0);
  });

  it('ends properly when the registry stops', async () => {
    const { registry, url } = await startRegistry();
    const sources = await Promise.all(
      ['/watch', '/watch?subtree=x', '/watch?ids=y'].map((path) => watch(url, path)),
    );
    await register(url, 'x');
    const startMs = performance.now();
    await registry.stop();
    expect(performance.now() - startMs).toBeLessThan(2_500);
    await eventually('all are over', () => sources.every(({ isClosed }) => isClosed));
    expect(sources.every(({ isComplete }) => isComplete)).toBe(true);
    expect(wordsOf(sources[1]?.heard ?? [])).toContain('x registered');
  });

  it('tells a thousand watchers of a change, and heartbeats go on', async () => {
    const { url } = await startRegistry();
    await register(url, 'steady');
    const sources = await Promise.all(Array.from({ length: 1_000 }, () => watch(url, '/watch')));
    await eventually('all have begun', () => sources.every(({ heard }) => heard.length === 1), 30_000);
    const change = register(url, 'oven');
    expect((await send(url, '/heartbeat', { body: { id: 'steady' } })).status).toBe(200);
    await change;
    await eventually('all have heard it', () => sources.every(({ heard }) => heard.length === 2), 30_000);
    expect(sources.every(({ heard }) => wordsOf(heard)[1] === 'oven registered')).toBe(true);
    for (const source of sources) source.close();
    await eventually('nobody is left', async () => (await watchers(url)) === 0);
  }, 60_000);

  it('resets one who does not read, holds no more than its limit, and goes on when it reads', async () => {
    const { url } = await startRegistry({ maxWatchBufferBytes: 256 * 1024 });
    const slow = await watch(url, '/watch');
    await slow.hears('the start', ({ name }) => name === 'bookmark');
    // How much the sockets of both sides take is up to the system.
    const metadata = { text: 'x'.repeat(16_000) };
    let round = 0;
    const isOver = (): boolean =>
      slow.heard.some(({ name, data }) => name === 'reset' || ('id' in data && data.id === `last-${round}`));
    do {
      round += 1;
      slow.pause();
      for (let count = 0; count < 800; count += 20) {
        const ids = Array.from({ length: 20 }, (_, index) => `m-${(count + index) % 50}`);
        await Promise.all(ids.map((id) => register(url, id, { metadata })));
      }
      await register(url, `last-${round}`);
      slow.resume();
      await eventually('it has read what there is', isOver);
    } while (slow.heard.every(({ name }) => name !== 'reset'));
    const reset = await slow.hears('the reset', ({ name }) => name === 'reset');
    expect(reset.data).toMatchObject({ reason: 'too_slow' });
    await register(url, 'next');
    await slow.hears('what comes then', ({ data }) => 'id' in data && data.id === 'next');
  }, 120_000);
});
