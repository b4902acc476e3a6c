import type { MembraneEvent, RegistryStatus } from '@membrane/protocol';
import { eventually } from '../support/eventually.js';
import { useEventSources } from '../support/event-source.js';
import { send } from '../support/http.js';
import { registration } from '../support/registry-core.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { useRegistries } from '../support/test-registry.js';
import { wordsOf, type Heard } from '../support/watching.js';

const startRegistry = useRegistries();
const makeDirectory = useTemporaryDirectories();
const watch = useEventSources();

const INTERVAL_MS = 1_000;
const IDS = Array.from({ length: 24 }, (_, index) => `m-${index}`);

async function register(url: string, id: string, parent: string | null, intervalMs: number): Promise<void> {
  const body = registration(id, { parent, heartbeat_interval_ms: intervalMs });
  expect((await send(url, '/register', { body })).status).toBe(200);
}

/** A rack in a site, its members with a short interval; and so many others that they are few in the namespace. */
async function fill(url: string): Promise<void> {
  await register(url, 'site', null, 60_000);
  await register(url, 'rack', 'site', 60_000);
  const others = Array.from({ length: 40 }, (_, index) => `other-${index}`);
  await Promise.all(others.map((id) => register(url, id, null, 60_000)));
  await Promise.all(IDS.map((id) => register(url, id, 'rack', INTERVAL_MS)));
}

const statusOf = async (url: string): Promise<RegistryStatus> =>
  (await send(url, '/status')).json as RegistryStatus;
const journalOf = async (url: string): Promise<MembraneEvent[]> =>
  (await send(url, '/events?limit=10000')).json as MembraneEvent[];
const courseOf = (heard: readonly Heard[]): string[] =>
  wordsOf(heard).filter((words) => words.includes('preservation'));

describe('members that lose their network', () => {
  it('are kept, named in the status, the journal and the watches above, and nothing is left when they are back', async () => {
    const { url } = await startRegistry();
    await fill(url);
    const paths = [
      '/watch',
      '/watch?subtree=site',
      '/watch?subtree=rack',
      '/watch?ids=rack',
      '/watch?subtree=m-0',
    ];
    const sources = await Promise.all(paths.map((path) => watch(url, path)));
    const { preservation } = await eventually('it begins', async () => {
      const status = await statusOf(url);
      return (status.preservation?.length ?? 0) === 2 ? status : undefined;
    });
    expect(preservation?.map(({ namespace, subtree, n }) => ({ namespace, subtree, n }))).toEqual([
      { namespace: 'default', subtree: 'site', n: 26 },
      { namespace: 'default', subtree: 'rack', n: 25 },
    ]);
    const renewing = setInterval(() => {
      void send(url, '/heartbeat', { body: { heartbeats: IDS.map((id) => ({ id })) } }).catch(
        () => undefined,
      );
    }, 100);
    try {
      await eventually('it ends', async () => (await statusOf(url)).preservation?.length === 0);
    } finally {
      clearInterval(renewing);
    }
    const journal = await journalOf(url);
    expect(journal.some(({ event }) => event === 'expired')).toBe(false);
    const course = journal.filter(({ preservation: told }) => told !== undefined);
    expect(course.map(({ event, id }) => `${id} ${event}`).sort()).toEqual([
      'rack preservation_ended',
      'rack preservation_started',
      'site preservation_ended',
      'site preservation_started',
    ]);
    expect(new Set(course.map(({ revision }) => revision)).size).toBe(4);
    const began = course.find(({ id, event }) => id === 'rack' && event === 'preservation_started');
    expect(preservation?.find(({ subtree }) => subtree === 'rack')?.since).toBe(began?.timestamp);
    const told = (): number[] => sources.map(({ heard }) => courseOf(heard).length);
    await eventually('all are told', () => told().join() === '4,4,2,2,0');
  }, 60_000);

  it('are told of to a watcher who comes back after a restart', async () => {
    const data = await makeDirectory();
    const first = await startRegistry({ data });
    await fill(first.url);
    const start = (await send(first.url, '/status')).headers['x-membrane-revision'] as string;
    await eventually('it begins', async () => (await statusOf(first.url)).preservation?.length === 2);
    const before = (await statusOf(first.url)).preservation;
    await first.registry.stop();
    const { url } = await startRegistry({ data });
    const after = (await statusOf(url)).preservation;
    const known = (subtrees: typeof after) => subtrees?.map(({ subtree, since }) => [subtree, since]);
    expect(known(after)).toEqual(known(before));
    const source = await watch(url, `/watch?subtree=site&since=${start}`);
    await source.hears('the present', ({ name }) => name === 'bookmark');
    expect(courseOf(source.heard).sort()).toEqual(['rack preservation_started', 'site preservation_started']);
  }, 60_000);

  it('go as everybody does where self-preservation is off', async () => {
    const { url } = await startRegistry({ selfPreservation: false });
    await fill(url);
    await eventually('they are gone', async () => (await statusOf(url)).membrane_count === 42);
    expect((await journalOf(url)).some(({ preservation }) => preservation !== undefined)).toBe(false);
    expect(await statusOf(url)).not.toHaveProperty('preservation');
  }, 60_000);
});
