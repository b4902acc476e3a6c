import { spawnSync } from 'node:child_process';
import { BIN } from './support/membrane.js';
import { withoutSettings } from './support/processes.js';
import { useSharedRegistry } from './support/shared-registry.js';
import { hasTerminals } from './support/terminal.js';

const begin = useSharedRegistry();

async function beginHome() {
  const tenant = await begin();
  await tenant.place('house');
  await tenant.place('kitchen', 'house');
  await tenant.place('oven', 'kitchen');
  await tenant.place('oven', 'kitchen', { instance_id: 'left' });
  await tenant.place('hall', 'house');
  await tenant.place('lost', 'gone');
  return tenant;
}

describe('tree', () => {
  it('draws all trees', async () => {
    const { membrane, change } = await beginHome();
    await change('hall', 'drain', { enabled: true, reason: 'paint' });
    expect(await membrane(['tree'])).toEqual({
      code: 0,
      stdout: [
        'house  active  ipc',
        '├── kitchen  active  ipc',
        '│   └── oven ×2  active  ipc',
        '└── hall  draining  (paint)  ipc',
        'lost  active  (detached: gone is absent)  ipc',
        '',
      ].join('\n'),
      stderr: '',
    });
  });

  it('draws one of them, as deep as it is asked', async () => {
    const { membrane } = await beginHome();
    expect((await membrane(['tree', 'house', '--depth', '1'])).stdout).toBe(
      'house  active  ipc\n├── kitchen  active  ipc\n└── hall  active  ipc\n',
    );
  });

  it('prints the JSON of the wire', async () => {
    const { membrane } = await beginHome();
    const house = {
      id: 'house',
      communication_mode: 'ipc',
      children: [
        { id: 'kitchen', children: [{ id: 'oven', counts: { active: 2, unhealthy: 0, draining: 0 } }] },
        { id: 'hall', children: [] },
      ],
    };
    expect(JSON.parse((await membrane(['tree', 'house', '--json'])).stdout)).toMatchObject(house);
    expect(JSON.parse((await membrane(['tree', '--json'])).stdout)).toMatchObject([house, { id: 'lost' }]);
  });

  it('says that there is nobody', async () => {
    const { membrane } = await begin();
    expect(await membrane(['tree'])).toEqual({ code: 0, stdout: '', stderr: 'no membranes\n' });
    const { code, stderr } = await membrane(['tree', 'oven']);
    expect([code, stderr]).toEqual([4, expect.stringMatching(/^membrane: no membrane "oven" in namespace /)]);
  });

  it('has colours on a terminal', async () => {
    if (!hasTerminals('the colours of a tree')) return;
    const { environment } = await beginHome();
    const { stdout } = spawnSync('script', ['-qec', `${process.execPath} ${BIN} tree`, '/dev/null'], {
      encoding: 'utf8',
      env: { ...withoutSettings(process.env), ...environment, TERM: 'xterm', NO_COLOR: '' },
    });
    expect(stdout).toContain('kitchen  \u001b[32mactive');
  });
});
