import type { MembraneEvent, MembraneRecord, MembraneTree } from '@membrane/protocol';
import { send, type HttpAnswer } from '../support/http.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useRegistries } from '../support/test-registry.js';
import { outline } from '../support/tree.js';

const startRegistry = useRegistries();
const makeDirectory = useTemporaryDirectories();

interface Problem {
  code: string;
  detail: string;
  errors?: { path: string; message: string }[];
}

let url: string;

const register = (id: string, parent: string | null = null, rest: object = {}): Promise<HttpAnswer> =>
  send(url, '/register', {
    body: {
      id,
      parent,
      endpoint: `/run/${id}`,
      communication_mode: 'ipc',
      heartbeat_interval_ms: 86_400_000,
      ...rest,
    },
  });
const change = (id: string, verb: string, body: object = {}): Promise<HttpAnswer> =>
  send(url, `/membranes/${id}/${verb}`, { body });
const shape = async (query = ''): Promise<string> =>
  outline((await send(url, `/tree${query}`)).json as MembraneTree[]);

beforeEach(async () => {
  ({ url } = await startRegistry());
  await register('house');
  await register('kitchen', 'house');
  await register('hall', 'house');
  await register('oven', 'kitchen');
});

describe('the tree', () => {
  it('is changed and read', async () => {
    expect(await shape()).toBe('house(kitchen(oven) hall)');
    const moved = await change('oven', 'move', { parent: 'hall' });
    expect(moved).toMatchObject({ status: 200, json: { success: true } });
    const { revision } = moved.json as { revision: number };
    expect(String(moved.headers['x-membrane-revision'])).toMatch(new RegExp(`:${revision}$`));
    expect(await shape()).toBe('house(kitchen hall(oven))');
    expect((await change('kitchen', 'divide', { heirs: { oven: 'hall' } })).status).toBe(400);
    expect((await change('hall', 'divide', { heirs: { oven: 'kitchen' } })).status).toBe(200);
    expect(await shape()).toBe('house(kitchen(oven))');
    expect((await change('kitchen', 'dissolve')).status).toBe(200);
    expect(await shape()).toBe('house(oven)');
    expect((await send(url, '/discover/kitchen')).json).toMatchObject({
      status: 404,
      code: 'not_found',
      detail: '"kitchen" in namespace "default" was dissolved; its heir is "house"',
    });
    expect((await change('oven', 'drain', { enabled: true, reason: 'disk' })).status).toBe(200);
    expect((await send(url, '/discover/oven')).json).toMatchObject({
      status: 'draining',
      drain: { reason: 'disk' },
      instances: [{ status: 'draining' }],
    });
    const events = (await send(url, '/events')).json as MembraneEvent[];
    expect(events.slice(4).map(({ event, id }) => `${event} ${id}`)).toEqual([
      'moved oven',
      'dissolved hall',
      'dissolved kitchen',
      'draining oven',
    ]);
  });

  it('is nested records, of a namespace, as deep as it is asked', async () => {
    await register('shed', null, { namespace: 'garden' });
    const kitchen = (await send(url, '/tree/kitchen')).json as MembraneTree;
    const { children, counts, ...record } = kitchen;
    const { instances, ...discovered } = (await send(url, '/discover/kitchen')).json as MembraneRecord & {
      instances: MembraneRecord[];
    };
    expect(record).toEqual(discovered);
    expect(instances).toHaveLength(1);
    expect(counts).toEqual({ active: 1, unhealthy: 0, draining: 0 });
    expect(outline(children)).toBe('oven');
    expect(await shape('?depth=0')).toBe('house');
    expect(await shape('?namespace=garden')).toBe('shed');
    expect(await shape('?namespace=nowhere')).toBe('');
    expect((await send(url, '/tree/kitchen/?depth=0')).json).toEqual({ ...record, counts, children: [] });
    expect((await send(url, '/tree', { method: 'HEAD' })).text).toBe('');
    const listed = (await send(url, '/list?subtree=house&depth=1')).json as MembraneRecord[];
    expect(listed.map(({ id }) => id)).toEqual(['house', 'kitchen', 'hall']);
  });

  it('of many is made beside other work', async () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => `spoon-${index}`);
    for (let start = 0; start < ids.length; start += 100) {
      await Promise.all(ids.slice(start, start + 100).map((id) => register(id, 'oven')));
    }
    const whole = (await send(url, '/tree')).json as MembraneTree[];
    expect(whole[0]?.children[0]?.children[0]?.children.map(({ id }) => id).sort()).toEqual(ids.sort());
    await change('kitchen', 'dissolve');
    await change('oven', 'dissolve');
    const house = (await send(url, '/tree/house')).json as MembraneTree;
    expect(house.children).toHaveLength(1_001);
  }, 120_000);

  it('has no cycle, whatever moves arrive at once', async () => {
    const ids = ['house', 'kitchen', 'hall', 'oven', 'a', 'b', 'c', 'd'];
    for (const id of ids.slice(4)) await register(id, 'oven');
    for (let round = 0; round < 5; round += 1) {
      const moves = ids.flatMap((id, index) => [
        change(id, 'move', { parent: ids[(index + round + 1) % ids.length] ?? null }),
        change(id, 'move', { parent: ids[(index + 2 * round + 3) % ids.length] ?? null }),
      ]);
      const answers = await Promise.all(moves);
      for (const { status, json } of answers) {
        expect([200, 409]).toContain(status);
        if (status === 409) expect((json as Problem).code).toBe('cycle');
      }
      const found = ((await send(url, '/tree')).json as MembraneTree[]).flatMap(
        function idsIn(tree): string[] {
          return [tree.id, ...tree.children.flatMap(idsIn)];
        },
      );
      expect(found.sort()).toEqual([...ids].sort());
    }
  }, 60_000);

  it('comes from the disk as it was, with whom the dissolved left behind', async () => {
    const data = await makeDirectory();
    const first = await startRegistry({ data });
    ({ url } = first);
    await register('house');
    await register('kitchen', 'house', { lease_token: 'the-token-of-the-kitchen' });
    await register('oven', 'kitchen');
    await send(url, '/messages/kitchen', { body: { id: 'm1', sender: 'cook', payload: 'bread' } });
    await change('oven', 'drain', { enabled: true });
    await change('kitchen', 'dissolve');
    await first.registry.stop();
    ({ url } = await startRegistry({ data }));
    expect(await shape()).toBe('house(oven)');
    expect((await send(url, '/discover/oven')).json).toMatchObject({ parent: 'house', status: 'draining' });
    const beat = await send(url, '/heartbeat', {
      body: { id: 'kitchen', lease_token: 'the-token-of-the-kitchen' },
    });
    expect(beat).toMatchObject({ status: 410, json: { code: 'removed' } });
    expect((await send(url, '/messages/house?wait_ms=30000')).json).toMatchObject([
      { envelope: { id: 'm1', target: 'house' } },
    ]);
  }, 60_000);
});

describe('a change of the tree is refused', () => {
  it.each<[string, string, string, unknown, number, string, string, string | undefined]>([
    [
      'of an unknown id',
      'attic',
      'move',
      { parent: null },
      404,
      'not_found',
      'no membrane "attic"',
      undefined,
    ],
    ['of an unknown id', 'attic', 'dissolve', {}, 404, 'not_found', 'no membrane "attic"', undefined],
    [
      'of an unknown id',
      'attic',
      'divide',
      { heirs: { a: 'b' } },
      404,
      'not_found',
      'no membrane "attic"',
      undefined,
    ],
    [
      'of an unknown id',
      'attic',
      'drain',
      { enabled: true },
      404,
      'not_found',
      'no membrane "attic"',
      undefined,
    ],
    ['of a bad id', '%20', 'dissolve', {}, 400, 'invalid_request', 'id must be 1 to 128 letters', undefined],
    ['without a parent', 'oven', 'move', {}, 400, 'invalid_request', 'parent must be', 'parent'],
    [
      'under itself',
      'oven',
      'move',
      { parent: 'oven' },
      409,
      'cycle',
      'another membrane than "oven"',
      'parent',
    ],
    ['under its child', 'kitchen', 'move', { parent: 'oven' }, 409, 'cycle', 'got "oven"', 'parent'],
    ['under nobody', 'oven', 'move', { parent: 'attic' }, 404, 'not_found', 'no membrane "attic"', 'parent'],
    [
      'at another revision',
      'oven',
      'move',
      { parent: 'hall', if_revision: 1 },
      409,
      'conflict',
      'got 1',
      'if_revision',
    ],
    [
      'without heirs',
      'kitchen',
      'divide',
      {},
      400,
      'invalid_request',
      'heirs must be of type record',
      'heirs',
    ],
    [
      'for no child',
      'kitchen',
      'divide',
      { heirs: {} },
      400,
      'invalid_request',
      'one child or more',
      'heirs',
    ],
    [
      'for a stranger',
      'kitchen',
      'divide',
      { heirs: { hall: 'hall' } },
      400,
      'invalid_request',
      'must be given for a child of "kitchen", which "hall" is not',
      'heirs.hall',
    ],
    [
      'to a stranger',
      'kitchen',
      'divide',
      { heirs: { oven: 'house' } },
      400,
      'invalid_request',
      'another child of "house"; got "house"',
      'heirs.oven',
    ],
    ['that says not what', 'oven', 'drain', {}, 400, 'invalid_request', 'enabled must be', 'enabled'],
    [
      'of no replica',
      'oven',
      'drain',
      { enabled: true, instance_id: 'r9' },
      404,
      'not_found',
      'such as "default"; got "r9"',
      'instance_id',
    ],
  ])('%s (%s/%s)', async (_, id, verb, body, status, code, detail, path) => {
    const answer = await send(url, `/membranes/${id}/${verb}`, { body });
    const problem = answer.json as Problem;
    expect([answer.status, problem.code]).toEqual([status, code]);
    expect(problem.detail).toContain(detail);
    if (path !== undefined) expect(problem.errors?.map((error) => error.path)).toEqual([path]);
    expect(await shape()).toBe('house(kitchen(oven) hall)');
  });

  it.each([
    ['/tree?depth=-1', 'depth must be a whole number from 0 to 64; got "-1"'],
    ['/tree?depth=65', 'depth must be at most 64; got 65'],
    ['/tree/attic', 'no membrane "attic" in namespace "default"'],
    ['/list?depth=x', 'depth must be a whole number from 0 to 64; got "x"'],
    ['/list?subtree=', 'subtree must be 1 to 128 letters'],
  ])('and so is reading %s', async (path, detail) => {
    expect(((await send(url, path)).json as Problem).detail).toContain(detail);
  });

  it('by another method', async () => {
    const answer = await send(url, '/membranes/oven/move');
    expect([answer.status, answer.headers.allow]).toEqual([405, 'POST']);
  });
});
