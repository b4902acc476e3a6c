import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { MembraneEvent, MembraneRecord, RegistryStatus } from '@membrane/protocol';
import { MemoryMembraneStore } from '../../src/store/memory-membrane-store.js';
import { eventually } from '../support/eventually.js';
import { send, type HttpAnswer } from '../support/http.js';
import { codeOf, FlakyStore, registration } from '../support/registry-core.js';
import { useRegistries } from '../support/test-registry.js';

const startRegistry = useRegistries();

async function register(url: string, id: string, rest: object = {}): Promise<HttpAnswer> {
  return send(url, '/register', { body: { ...registration(id), heartbeat_interval_ms: 60_000, ...rest } });
}

/** Keeps a number of calls under way until all are done. */
async function registerMany(url: string, ids: readonly string[]): Promise<void> {
  const left = [...ids];
  const work = async (): Promise<void> => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) await register(url, id);
  };
  await Promise.all(Array.from({ length: 64 }, work));
}

const idsOf = (answer: HttpAnswer): string[] => (answer.json as MembraneRecord[]).map(({ id }) => id);

describe('a list', () => {
  it('comes in pages that hold everybody once, while others come and go', async () => {
    const { url } = await startRegistry();
    const stable = Array.from({ length: 300 }, (_, index) => `stable-${index}`);
    await registerMany(url, stable);
    const seen: string[] = [];
    let cursor: string | undefined;
    let round = 0;
    do {
      const answer = await send(url, `/list?limit=7${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      seen.push(...idsOf(answer).filter((id) => id.startsWith('stable')));
      cursor = answer.headers['x-membrane-next-cursor'] as string | undefined;
      round += 1;
      await register(url, `other-${round}`);
      if (round > 3) await send(url, '/deregister', { body: { id: `other-${round - 3}` } });
    } while (cursor !== undefined);
    expect(seen.sort()).toEqual(stable.sort());
  });

  it('shows each replica of an id, across pages too', async () => {
    const { url } = await startRegistry();
    for (const instance of ['r1', 'r2', 'r3']) await register(url, 'pool', { instance_id: instance });
    const first = await send(url, '/list?limit=2');
    const second = await send(url, `/list?limit=2&cursor=${String(first.headers['x-membrane-next-cursor'])}`);
    const instances = [first, second].map(({ json }) =>
      (json as MembraneRecord[]).map((record) => record.instance_id),
    );
    expect(instances).toEqual([['r1', 'r2'], ['r3']]);
    expect(second.headers['x-membrane-next-cursor']).toBeUndefined();
    const discovered = (await send(url, '/discover/pool')).json as {
      instance_id: string;
      instances: MembraneRecord[];
    };
    expect([discovered.instance_id, discovered.instances.map((record) => record.instance_id)]).toEqual([
      'r1',
      ['r1', 'r2', 'r3'],
    ]);
  });

  it('of thousands is whole, and a reader who leaves or dawdles harms nobody', async () => {
    const { url } = await startRegistry();
    const ids = Array.from({ length: 5_000 }, (_, index) => `member-${index}`);
    await registerMany(url, ids);
    const sockets = Array.from({ length: 20 }, () => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.write('GET /list HTTP/1.1\r\nHost: x\r\n\r\n');
      return socket;
    });
    await Promise.all(sockets.map((socket) => once(socket, 'readable')));
    for (const socket of sockets.slice(10)) socket.destroy();
    expect(idsOf(await send(url, '/list')).sort()).toEqual(ids.sort());
    for (const socket of sockets) socket.destroy();
  });

  it('is filtered by status, metadata and namespace', async () => {
    const { url } = await startRegistry();
    await register(url, 'a', { metadata: { zone: 'a', tier: 1, on: true } });
    await register(url, 'b', { metadata: { zone: 'b', tier: 1, 'k.e.y': 'x' } });
    await register(url, 'c', { namespace: 'other', metadata: { zone: 'a' } });
    const list = async (query: string): Promise<string[]> => idsOf(await send(url, `/list?${query}`));
    expect(await list('meta.zone=a')).toEqual(['a']);
    expect(await list('meta.tier=1')).toEqual(['a', 'b']);
    expect(await list('meta.tier=1&meta.on=true')).toEqual(['a']);
    expect(await list('meta.k.e.y=x')).toEqual(['b']);
    expect(await list('meta.toString=x')).toEqual([]);
    expect(await list('namespace=other')).toEqual(['c']);
    expect(await list('status=active')).toEqual(['a', 'b']);
    expect(await list('status=unhealthy')).toEqual([]);
  });
});

describe('the journal', () => {
  it('tells of every change, newest last, and from a revision on', async () => {
    const { url } = await startRegistry();
    await register(url, 'house');
    const second = await register(url, 'oven', { parent: 'house' });
    await send(url, '/deregister', { body: { id: 'house' } });
    const events = async (query = ''): Promise<string[]> =>
      ((await send(url, `/events${query}`)).json as MembraneEvent[]).map(({ id, event }) => `${id} ${event}`);
    expect(await events()).toEqual(['house registered', 'oven registered', 'house deregistered']);
    expect(await events('?membrane=house')).toEqual(['house registered', 'house deregistered']);
    expect(await events('?limit=1')).toEqual(['house deregistered']);
    const { revision } = second.json as { revision: number };
    expect(await events(`?since=${revision}`)).toEqual(['house deregistered']);
    expect(await events(`?since=${String(second.headers['x-membrane-revision'])}`)).toEqual([
      'house deregistered',
    ]);
    expect(await events('?namespace=other')).toEqual([]);
    const [, oven] = (await send(url, '/events')).json as MembraneEvent[];
    expect(oven).toMatchObject({
      revision,
      record: { parent: 'house', incarnation: revision },
      after: { ancestors: ['house'] },
    });
  });
});

it('/status counts what is there', async () => {
  const { url } = await startRegistry({ registryId: 'tester' });
  await register(url, 'a');
  await register(url, 'b', { namespace: 'other' });
  const status = (await send(url, '/status')).json as RegistryStatus;
  expect(status).toMatchObject({
    registry_id: 'tester',
    membrane_count: 2,
    peer_count: 0,
    counts: { active: 2, unhealthy: 0, draining: 0 },
    namespaces: { default: { active: 1 }, other: { active: 1 } },
    store: { kind: 'memory', location: null, writable: true },
    recovering: false,
  });
  expect(status.uptime).toBeGreaterThan(0);
});

describe('a registry that is not ready', () => {
  class SlowStore extends MemoryMembraneStore {
    release: () => void = () => undefined;
    readonly #released = new Promise<void>((resolve) => {
      this.release = resolve;
    });

    override async load(): ReturnType<MemoryMembraneStore['load']> {
      await this.#released;
      return super.load();
    }
  }

  it('answers its probes while it loads, and everything else by 503, never by 404', async () => {
    const store = new SlowStore();
    // Starting ends with loading, so the port must be known beforehand.
    const { url: free, registry } = await startRegistry();
    await registry.stop();
    const started = startRegistry({ port: Number(new URL(free).port) }, { store });
    await eventually('it listens', async () => (await codeOf(send(free, '/health/live'))) === 'done');
    expect((await send(free, '/health/live')).status).toBe(200);
    for (const [path, body] of [
      ['/health/ready'],
      ['/discover/a'],
      ['/list'],
      ['/status'],
      ['/heartbeat', { id: 'a' }],
      ['/register', registration('a')],
    ] as const) {
      const answer = await send(free, path, { body });
      expect([path, answer.status, answer.json]).toEqual([
        path,
        503,
        expect.objectContaining({ code: 'not_ready' }),
      ]);
      expect(answer.headers['retry-after']).toBe('1');
    }
    store.release();
    await started;
    expect((await send(free, '/health/ready')).json).toEqual({ status: 'ready' });
  });

  it('because its store cannot write refuses changes alone, says so, and recovers by itself', async () => {
    const store = new FlakyStore();
    const { url } = await startRegistry({ cleanupIntervalMs: 50 }, { store });
    await register(url, 'a', { heartbeat_interval_ms: 250 });
    store.isFailing = true;
    const refused = await register(url, 'b');
    expect([refused.status, refused.json]).toEqual([
      503,
      expect.objectContaining({ code: 'store_unavailable' }),
    ]);
    expect(refused.headers['retry-after']).toBe('1');
    expect((await send(url, '/heartbeat', { body: { id: 'a' } })).status).toBe(200);
    expect((await send(url, '/discover/a')).status).toBe(200);
    expect((await send(url, '/health/ready')).json).toMatchObject({ code: 'store_unavailable' });
    expect((await send(url, '/status')).json).toMatchObject({ store: { writable: false } });
    store.isFailing = false;
    await eventually('it is ready again', async () => (await send(url, '/health/ready')).status === 200);
    expect((await send(url, '/discover/b')).status).toBe(404);
    expect((await register(url, 'b')).status).toBe(200);
  });
});

describe('the documentation', () => {
  it('is the committed OpenAPI document', async () => {
    const { url } = await startRegistry();
    const committed = await readFile(new URL('../../../../docs/api/openapi.json', import.meta.url), 'utf8');
    expect((await send(url, '/openapi.json')).json).toEqual(JSON.parse(committed));
  });

  it('is a page that loads everything from the registry itself', async () => {
    const { url } = await startRegistry();
    const page = await send(url, '/docs');
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link ?? '');
    const local = links.filter((link) => link !== 'data:,');
    expect(local.length).toBeGreaterThan(2);
    for (const link of local) expect([link, (await send(url, link)).status]).toEqual([link, 200]);
  });
});
