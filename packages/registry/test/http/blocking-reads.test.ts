import { request } from 'node:http';
import type { MembraneRecord, Problem, RegistryStatus } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { send, type HttpAnswer } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();
const makeDirectory = useTemporaryDirectories();

async function register(url: string, id: string, rest: object = {}): Promise<string> {
  const body = { ...registration(id), heartbeat_interval_ms: 60_000, ...rest };
  return String((await send(url, '/register', { body })).headers['x-membrane-revision']);
}

/** A read under way, and whether it has been answered. */
class Reading {
  answer: HttpAnswer | undefined;
  readonly done: Promise<HttpAnswer>;

  constructor(url: string, path: string) {
    this.done = send(url, path).then((answer) => (this.answer = answer));
  }
}

const waiting = async (url: string): Promise<number | undefined> =>
  ((await send(url, '/status')).json as RegistryStatus).watch?.blocking_reads;

/** Starts reads, and resolves when all of them wait. */
async function startReads(url: string, paths: readonly string[]): Promise<Reading[]> {
  const before = (await waiting(url)) ?? 0;
  const reads = paths.map((path) => new Reading(url, path));
  await eventually('all wait', async () => (await waiting(url)) === before + paths.length);
  return reads;
}

const LONG = 'wait_ms=600000';

describe('a blocking read', () => {
  it('is let go at once when the registry stops, also of who is not there', async () => {
    const { url, registry } = await startRegistry();
    const since = await register(url, 'oven');
    const reads = await startReads(url, [
      `/discover/nobody?${LONG}`,
      `/discover/oven?since=${since}&${LONG}`,
    ]);
    const began = performance.now();
    await registry.stop();
    expect((await Promise.all(reads.map(({ done }) => done))).map(({ status }) => status)).toEqual([
      503, 503,
    ]);
    // Sooner than connections are cut that did not end by themselves.
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  it('is woken by a change in its scope alone', async () => {
    const { url } = await startRegistry();
    for (const [id, parent] of [['house'], ['shop'], ['oven', 'house'], ['till', 'shop']] as const)
      await register(url, id, { parent: parent ?? null });
    const since = await register(url, 'door', { parent: 'oven' });
    const paths = {
      oven: `/discover/oven?since=${since}&${LONG}`,
      till: `/discover/till?since=${since}&${LONG}`,
      inHouse: `/list?parent=house&since=${since}&${LONG}`,
      inShop: `/list?parent=shop&since=${since}&${LONG}`,
      roots: `/list?parent=&since=${since}&${LONG}`,
      all: `/list?limit=2&since=${since}&${LONG}`,
      other: `/list?namespace=other&since=${since}&${LONG}`,
    };
    const reads = Object.fromEntries(
      (await startReads(url, Object.values(paths))).map((read, index) => [Object.keys(paths)[index], read]),
    ) as Record<keyof typeof paths, Reading>;

    const changed = await register(url, 'oven', { parent: 'house', metadata: { heat: 220 } });
    for (const name of ['oven', 'inHouse', 'all'] as const) {
      const { status, headers } = await reads[name].done;
      expect([name, status, headers['x-membrane-revision']]).toEqual([name, 200, changed]);
    }
    expect((await reads.oven.done).json).toMatchObject({ metadata: { heat: 220 } });
    expect(((await reads.all.done).json as MembraneRecord[]).map(({ id }) => id)).toEqual(['house', 'shop']);
    expect(await waiting(url)).toBe(4);

    await send(url, '/deregister', { body: { id: 'till' } });
    expect((await reads.till.done).status).toBe(404);
    expect((await reads.inShop.done).json).toEqual([]);
    expect([reads.roots.answer, reads.other.answer]).toEqual([undefined, undefined]);

    await register(url, 'barn');
    expect(((await reads.roots.done).json as MembraneRecord[]).map(({ id }) => id)).toEqual([
      'house',
      'shop',
      'barn',
    ]);
    await register(url, 'x', { namespace: 'other' });
    expect((await reads.other.done).json).toMatchObject([{ id: 'x' }]);
  });

  it('tells a list of children that their parent came or went', async () => {
    const { url } = await startRegistry();
    await register(url, 'oven', { parent: 'kitchen' });
    const since = await register(url, 'other');
    const [list] = await startReads(url, [`/list?parent=kitchen&since=${since}&${LONG}`]);
    await register(url, 'kitchen');
    expect((await list?.done)?.json).toMatchObject([{ id: 'oven', detached: false }]);
  });

  it('answers at once what has changed already, and what is of another log', async () => {
    const { url } = await startRegistry();
    const since = await register(url, 'a');
    await register(url, 'b');
    for (const [path, status] of [
      [`/list?since=${since}&${LONG}`, 200],
      [`/discover/b?since=${since}&${LONG}`, 200],
      [`/discover/a?since=other:99&${LONG}`, 200],
      [`/discover/a?${LONG}`, 200],
      [`/list?${LONG}`, 200],
      [`/discover/a?since=${since}`, 200],
      [`/discover/a?since=${since}&wait_ms=0`, 200],
      ['/discover/c?wait_ms=0', 404],
    ] as const) {
      expect([path, (await send(url, path)).status]).toEqual([path, status]);
    }
  });

  it('of an id that is not there waits for its first registration', async () => {
    const { url } = await startRegistry();
    const since = await register(url, 'a');
    const reads = await startReads(url, [`/discover/oven?${LONG}`, `/discover/oven?since=${since}&${LONG}`]);
    await register(url, 'b');
    const registered = await register(url, 'oven');
    for (const { done } of reads) {
      const { status, headers } = await done;
      expect([status, headers['x-membrane-revision']]).toEqual([200, registered]);
    }
  });

  it('is answered by what there is when nothing has come, at about the end of its time', async () => {
    const { url } = await startRegistry();
    const since = await register(url, 'oven');
    const startMs = performance.now();
    const answers = await Promise.all(
      [`/discover/oven?since=${since}`, `/list?since=${since}`, '/discover/nobody?x=y'].map((path) =>
        send(url, `${path}&wait_ms=800`),
      ),
    );
    // The last 16th is random.
    expect(performance.now() - startMs).toBeGreaterThan(740);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404]);
    for (const { headers } of answers) expect(headers['x-membrane-revision']).toBe(since);
    expect(await waiting(url)).toBe(0);
  });

  it('with min_revision waits until this registry has it, 5 s at most', async () => {
    const { url } = await startRegistry();
    const [logId, revision] = (await register(url, 'a')).split(':');
    const [read, never] = await startReads(url, [
      `/discover/b?min_revision=${Number(revision) + 1}`,
      `/list?min_revision=${logId ?? ''}:${Number(revision) + 100}`,
    ]);
    await register(url, 'b');
    expect((await read?.done)?.status).toBe(200);
    const refused = await never?.done;
    expect([refused?.status, refused?.headers['retry-after'], (refused?.json as Problem).code]).toEqual([
      503,
      '1',
      'not_ready',
    ]);
    expect((await send(url, `/discover/a?min_revision=${revision ?? ''}`)).status).toBe(200);
    const foreign = await send(url, '/discover/a?min_revision=other:1');
    expect([foreign.status, (foreign.json as Problem).code]).toEqual([400, 'invalid_request']);
  });

  it.each([
    ['/discover/a?since=x&wait_ms=1', 'since must be a revision'],
    ['/discover/a?wait_ms=600001', 'wait_ms must be at most 600000'],
    ['/discover/a?wait_ms=soon', 'wait_ms must be a whole number'],
    ['/list?min_revision=', 'min_revision must be a revision'],
  ])('refuses %s in words', async (path, words) => {
    const { url } = await startRegistry();
    const { status, json } = await send(url, path);
    expect(status).toBe(400);
    expect((json as Problem).detail).toContain(words);
  });

  it('is forgotten when its reader leaves, and let go when the registry stops', async () => {
    const { registry, url } = await startRegistry();
    const since = await register(url, 'oven');
    const [read] = await startReads(url, [`/list?since=${since}&${LONG}`]);
    const leaving = request(`${url}/discover/oven?since=${since}&${LONG}`).on('error', () => undefined);
    leaving.end();
    await eventually('both wait', async () => (await waiting(url)) === 2);
    leaving.destroy();
    await eventually('one waits', async () => (await waiting(url)) === 1);
    await registry.stop();
    expect((await read?.done)?.status).toBe(503);
  });

  it('goes on over a restart, and is answered at once where it cannot be known', async () => {
    const data = await makeDirectory();
    const { registry, url } = await startRegistry({ data });
    const early = await register(url, 'a');
    const since = await register(url, 'b');
    await registry.stop();
    const { url: again } = await startRegistry({ data });
    const reads = await startReads(again, [
      `/discover/a?since=${since}&${LONG}`,
      `/list?since=${since}&${LONG}`,
      `/discover/a?since=${early}&${LONG}`,
    ]);
    expect((await send(again, `/list?since=${early}&${LONG}`)).status).toBe(200);
    // Before the journal begins.
    expect((await send(again, `/discover/a?since=0&${LONG}`)).status).toBe(200);
    await register(again, 'a');
    for (const { done } of reads) expect((await done).status).toBe(200);
  });
});
