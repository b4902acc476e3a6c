import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { eventually } from './support/eventually.js';
import { useMembrane } from './support/membrane.js';
import { SETTINGS_OF_A_USER } from './support/processes.js';

const { makeDirectory, start } = useMembrane();

const QUICKSTART = fileURLToPath(
  new URL('../../../examples/distributed-namespace/quickstart/quickstart.mjs', import.meta.url),
);

/** What `membrane tree` draws while everybody is there, however they are on a busy machine. */
const TREE = new RegExp(
  ['^house', '└── kitchen', '    ├── oven', '    └── lamp']
    .map((id) => `${id}  \\w+  shared-volume$`)
    .join('\n'),
  'm',
);

/** A row of `membrane list`: who, how, below whom. */
const row = (id: string, status: string, parent: string): RegExp =>
  new RegExp(`^${[id, status, parent, 'shared-volume', '\\d+ s', `\\S+/inbox/${id}`].join('\t')}$`, 'm');

describe('the quickstart', () => {
  it('tells its story, whatever its user has set, and leaves nothing behind', async () => {
    const temporary = await makeDirectory();
    const environment = { ...SETTINGS_OF_A_USER, TMPDIR: temporary };
    const story = start(process.execPath, [QUICKSTART, '--once'], { environment });
    const code = await story.ended;
    const { stdout, stderr } = story.said;
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout, stderr: '"oven" has handled it, by ipc\n' });
    const chapters = stdout.split(/Any program becomes|The lamp is killed|and after five|The registry stops/);
    expect(chapters).toHaveLength(5);
    const [beginning = '', guest = '', unhealthy = '', gone = '', restarted = ''] = chapters;
    for (const [id, parent] of [
      ['house', '-'],
      ['kitchen', 'house'],
      ['oven', 'kitchen'],
      ['lamp', 'kitchen'],
    ] as const) {
      expect(beginning).toMatch(row(id, 'active', parent));
    }
    expect(beginning).toMatch(TREE);
    expect(beginning).toMatch(/oven is registered, and finds kitchen at \S+\/inbox\/kitchen\n/);
    expect(beginning).toMatch(/\$ membrane discover oven\nid: +oven\n/);
    expect(beginning).toMatch(/^oven gets "preheat to 200" from \S+$/m);
    expect(beginning).toMatch(/^this is oven$/m);
    expect(guest).toMatch(row('radio', 'active', 'kitchen'));
    expect(unhealthy).toMatch(TREE);
    expect(unhealthy).toMatch(/^ {4}└── lamp {2}unhealthy {2}/m);
    expect(unhealthy).not.toContain('radio');
    expect(gone).toMatch(row('oven', 'active', 'kitchen'));
    expect(gone).not.toContain('/inbox/lamp');
    for (const [id, parent] of [
      ['house', '-'],
      ['kitchen', 'house'],
      ['oven', 'kitchen'],
    ] as const) {
      expect(restarted).toMatch(row(id, 'active', parent));
    }
    expect(await readdir(temporary)).toEqual([]);
    expect(story.isAlive()).toBe(false);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends by %s, and leaves nothing behind', async (signal) => {
    const temporary = await makeDirectory();
    const story = start(process.execPath, [QUICKSTART], { environment: { TMPDIR: temporary } });
    await eventually('the oven is there', () => story.said.stdout.includes('oven is registered'));
    story.child.kill(signal);
    expect(await story.ended).toBe(0);
    expect(await readdir(temporary)).toEqual([]);
    expect(story.isAlive()).toBe(false);
  });
});
