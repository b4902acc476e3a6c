import { expectWords } from './support/membrane.js';
import { useSharedRegistry } from './support/shared-registry.js';

const begin = useSharedRegistry();

/** What the wire answers to each. */
const ANSWER: unknown = { success: true, revision: expect.any(Number) as number };

/** A house: a kitchen with an oven and a sink, a hall, a bath. */
async function beginHome() {
  const tenant = await begin();
  await tenant.place('house');
  for (const room of ['kitchen', 'hall', 'bath']) await tenant.place(room, 'house');
  for (const thing of ['oven', 'sink']) await tenant.place(thing, 'kitchen');
  const places = async (): Promise<Record<string, string | null>> =>
    Object.fromEntries((await tenant.list()).map(({ id, parent }) => [id, parent]));
  return { ...tenant, places };
}

describe('move', () => {
  it('gives a membrane another parent, or none', async () => {
    const { membrane, places } = await beginHome();
    expect(await membrane(['move', 'oven', 'hall'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '"oven" stands below "hall" now\n',
    });
    const { code, stdout } = await membrane(['move', 'sink', '--to-top', '--json']);
    expect([code, JSON.parse(stdout)]).toEqual([0, ANSWER]);
    expect(await places()).toMatchObject({ oven: 'hall', sink: null });
  });

  it.each([
    { args: ['house', 'oven'], code: 5, words: 'the parent must not stand below "house"; got "oven"' },
    {
      args: ['oven', 'oven'],
      code: 5,
      words: 'the parent must be another membrane than "oven" itself, or --to-top',
    },
    {
      args: ['oven', 'attic'],
      code: 4,
      words: 'the parent must be a membrane that is there, or --to-top; no membrane "attic"',
    },
    { args: ['attic', 'house'], code: 4, words: 'no membrane "attic" in namespace "test-' },
    {
      args: ['oven', 'hall', '--if-revision', '1'],
      code: 5,
      words: '--if-revision must be the revision of "oven", ',
    },
  ])('$args is refused in plain words', async ({ args, code: expected, words }) => {
    const { membrane } = await beginHome();
    const { code, stdout, stderr } = await membrane(['move', ...args]);
    expect([code, stdout]).toEqual([expected, '']);
    expect(stderr).toContain(`membrane: ${words}`);
    expectWords(stderr);
  });
});

describe('dissolve', () => {
  it('says who has the children', async () => {
    const { membrane, places } = await beginHome();
    expect(await membrane(['dissolve', 'kitchen'])).toEqual({
      code: 0,
      stdout: '',
      stderr: '"kitchen" is dissolved; its 2 children and its messages belong to "house" now\n',
    });
    expect((await membrane(['dissolve', 'hall'])).stderr).toBe(
      '"hall" is dissolved; it had no children, and its messages belong to "house" now\n',
    );
    expect(await places()).toEqual({ house: null, bath: 'house', oven: 'house', sink: 'house' });
    expect((await membrane(['dissolve', 'house'])).stderr).toBe(
      '"house" is dissolved; its 3 children are roots now\n',
    );
  });
});

describe('divide', () => {
  it('shares the children out, and says who has whom', async () => {
    const { membrane, place, places } = await beginHome();
    await place('clock', 'kitchen');
    expect(await membrane(['divide', 'kitchen', 'oven=hall', 'sink=bath'])).toEqual({
      code: 0,
      stdout: '',
      stderr:
        '"kitchen" is divided: "oven" to "hall", "sink" to "bath", the other child to "house"; its messages to "hall"\n',
    });
    expect(await places()).toMatchObject({ oven: 'hall', sink: 'bath', clock: 'house' });
  });

  it('says whose heir is none', async () => {
    const { membrane } = await beginHome();
    const { code, stderr } = await membrane(['divide', 'kitchen', 'oven=hall', 'sink=house', '--json']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^membrane: the heir of "sink" must be a registered sibling .*; got "house"\n$/);
  });
});

describe('drain', () => {
  it('takes a membrane, or one of its instances, out of use and back', async () => {
    const { membrane, place, list } = await beginHome();
    await place('oven', 'kitchen', { instance_id: 'left' });
    const statuses = async (): Promise<unknown[]> =>
      (await list()).filter(({ id }) => id === 'oven').map(({ status }) => status);
    expect((await membrane(['drain', 'oven', '--instance', 'left', '--reason', 'new kernel'])).stderr).toBe(
      '"oven" (left) drains: it stays registered, and gets nothing new\n',
    );
    expect(await statuses()).toEqual(['active', 'draining']);
    const { stdout } = await membrane(['drain', 'oven', '--json']);
    expect(JSON.parse(stdout)).toEqual(ANSWER);
    expect(await statuses()).toEqual(['draining', 'draining']);
    expect((await membrane(['drain', 'oven', '--off'])).stderr).toBe('"oven" is back in use\n');
    expect(await statuses()).toEqual(['active', 'active']);
  });

  it('says which instances there are', async () => {
    const { membrane } = await beginHome();
    const { code, stderr } = await membrane(['drain', 'oven', '--instance', 'left']);
    expect(code).toBe(4);
    expect(stderr).toBe(
      'membrane: --instance must be a live instance of "oven", such as "default"; got "left"\n',
    );
  });
});
