import { eventually } from './support/eventually.js';
import { interrupt, printed } from './support/mailroom.js';
import { NOBODY, useMembrane } from './support/membrane.js';
import type { Process } from './support/processes.js';
import { registerAt } from './support/registry-view.js';
import { useSharedRegistry, type Tenant } from './support/shared-registry.js';

const begin = useSharedRegistry();
const { createUser, makeDirectory, startRegistry } = useMembrane();

/** More than it takes to lose a registry and to find it again. */
const RECONNECTION_MS = 30_000;

/** Lines as rows, without the time. */
const rowsOf = ({ said }: Process): string[][] =>
  said.stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split('\t').slice(1));

/** What is asked for by `since` is told whenever it was: no test must wait for a watch to begin. */
async function revisionAt({ url }: Tenant): Promise<string> {
  const { revision } = (await (await fetch(`${url}/status`)).json()) as { revision: number };
  return String(revision);
}

describe('watch', () => {
  it('prints a line a change, until Ctrl-C', async () => {
    const tenant = await begin();
    const watch = tenant.start(['watch', '--since', await revisionAt(tenant)]);
    await tenant.place('house');
    await tenant.place('hall', 'house');
    await tenant.place('oven', 'house');
    await tenant.change('oven', 'move', { parent: 'hall' });
    await tenant.change('oven', 'drain', { enabled: true, reason: 'new kernel' });
    await tenant.change('hall', 'dissolve');
    await printed(watch, 'dissolved');
    expect(await interrupt(watch)).toBe(0);
    expect(watch.said.stderr).toBe('');
    expect(watch.said.stdout).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z\tregistered\thouse\ta root\n/);
    expect(rowsOf(watch)).toEqual([
      ['registered', 'house', 'a root'],
      ['registered', 'hall', 'below house'],
      ['registered', 'oven', 'below house'],
      ['moved', 'oven', 'house -> hall'],
      ['draining', 'oven', 'new kernel'],
      ['dissolved', 'hall', 'children to house'],
    ]);
  });

  it('prints by --json what the wire says, of a subtree or of some ids', async () => {
    const tenant = await begin();
    const since = await revisionAt(tenant);
    await tenant.place('house');
    await tenant.place('shed');
    await tenant.place('oven', 'house', { instance_id: 'left', metadata: { max_heat: 250 } });
    for (const filter of [
      ['--subtree', 'house'],
      ['--ids', 'nobody,oven,house'],
    ]) {
      const watch = tenant.start(['watch', '--json', '--since', since, ...filter]);
      await printed(watch, '"oven"');
      expect(await interrupt(watch)).toBe(0);
      const events = watch.said.stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as object);
      expect(events).toMatchObject([
        { event: 'registered', id: 'house' },
        {
          event: 'registered',
          id: 'oven',
          instance_id: 'left',
          record: { metadata: { max_heat: 250 }, communication_mode: 'ipc' },
          after: { ancestors: ['house'] },
        },
      ]);
    }
  });

  it('exits by 3 where no registry answers to begin with', async () => {
    const { membrane } = await createUser(NOBODY);
    const { code, stdout, stderr } = await membrane(['watch']);
    expect([code, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^membrane: no registry answers at .*membrane registry start.*\n$/);
  });

  it('ends without a word when nobody reads it any more', async () => {
    const tenant = await begin();
    const since = await revisionAt(tenant);
    await tenant.place('house');
    const watch = tenant.start(['watch', '--since', since]);
    watch.child.stdout?.once('data', () => watch.child.stdout?.destroy());
    await printed(watch, 'house');
    await tenant.place('hall', 'house');
    expect([await watch.ended, watch.said.stderr]).toEqual([0, '']);
  });

  it('says that it loses the registry, finds it again, or that changes were missed', async () => {
    const data = await makeDirectory();
    const registry = await startRegistry({ data });
    const { start } = await createUser(registry.url);
    const watch = start(['watch', '--since', '0']);
    const list = start(['list', '--watch', '--roots']);
    const log = start(['log', 'house', '--follow', '--json']);
    const all = [watch, list, log];
    await registerAt(registry.url, { id: 'house' });
    for (const each of all) await printed(each, 'house');
    await registry.kill();
    for (const { said } of all) {
      await eventually('it says so', () => said.stderr.includes('; trying again\n'), RECONNECTION_MS);
    }
    await startRegistry({ data, port: registry.port });
    await registerAt(registry.url, { id: 'shed' });
    await registerAt(registry.url, { id: 'house', metadata: { late: true } });
    await eventually(
      'they go on',
      () => {
        const isLogged = log.said.stdout.includes('"late"');
        return isLogged && [watch, list].every(({ said }) => said.stdout.includes('shed'));
      },
      RECONNECTION_MS,
    );
    for (const each of all) {
      expect(await interrupt(each)).toBe(0);
      expect(each.said.stderr).toMatch(
        /^membrane: [^\n]+; trying again\nmembrane: a registry answers again, at http:[^\n]+\n$/,
      );
    }
    expect(rowsOf(watch).map(([event, id]) => `${event} ${id}`)).toEqual([
      'registered house',
      'registered shed',
      expect.stringMatching(/^(updated|registered) house$/),
    ]);
    const other = start(['watch', '--json', '--since', 'another-log:1']);
    await printed(other, '"event":"reset"');
    expect(await interrupt(other)).toBe(0);
    expect(JSON.parse(other.said.stdout.split('\n')[0] ?? '')).toMatchObject({ reason: 'other_log' });
    expect(other.said.stderr).toBe(
      'membrane: changes were missed: the registry is another one, or has lost its data; `membrane list` shows who is there now\n',
    );
  });
});

describe('list --watch', () => {
  it('prints the list, and then whoever changes, comes, or fits no more', async () => {
    const tenant = await begin();
    await tenant.place('house');
    await tenant.place('hall', 'house');
    await tenant.place('oven', 'hall');
    const list = tenant.start(['list', '--parent', 'house', '--watch']);
    const told = (id: string, status: string): Promise<true> =>
      eventually(`${id} is told`, () => list.said.stdout.includes(`${id}\t${status}\thouse\t`));
    await told('hall', 'active');
    await tenant.change('hall', 'drain', { enabled: true });
    await told('hall', 'draining');
    // What comes to it by an heir has no change of its own.
    await tenant.change('hall', 'dissolve');
    await told('oven', 'active');
    await tenant.change('oven', 'move', { parent: null });
    await told('oven', 'gone');
    expect(await interrupt(list)).toBe(0);
    expect(list.said.stderr).toBe('');
    expect(
      list.said.stdout
        .trimEnd()
        .split('\n')
        .map((row) => row.split('\t').slice(0, 2).join(' ')),
    ).toEqual(['hall active', 'hall draining', 'hall gone', 'oven active', 'oven gone']);
  });

  it('is JSON a line by --json', async () => {
    const tenant = await begin();
    await tenant.place('oven');
    const list = tenant.start(['list', '--watch', '--json', '--status', 'active']);
    await printed(list, '"added"');
    await tenant.change('oven', 'drain', { enabled: true });
    await printed(list, '"gone"');
    expect(await interrupt(list)).toBe(0);
    const lines = list.said.stdout.trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { change: 'added', record: { id: 'oven', communication_mode: 'ipc', status: 'active' } },
      { change: 'gone', record: { id: 'oven', status: 'active' } },
    ]);
  });
});
