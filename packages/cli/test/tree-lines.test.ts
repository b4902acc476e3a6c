import type { MembraneTree } from '@membrane/client';
import { formatTrees } from '../src/tree-lines.js';

const PIPE = { isTerminal: false, isColored: false, width: Number.POSITIVE_INFINITY };
const output = (view = {}): Parameters<typeof formatTrees>[1] =>
  ({ ...PIPE, ...view }) as Parameters<typeof formatTrees>[1];

function membrane(id: string, children: MembraneTree[] = [], more: Partial<MembraneTree> = {}): MembraneTree {
  const counts = { active: 1, unhealthy: 0, draining: 0 };
  return {
    ...{ id, status: 'active', communicationMode: 'ipc', parent: null, detached: false, counts, children },
    ...more,
  } as MembraneTree;
}

describe('lines of a tree', () => {
  it('show who is below whom', () => {
    const trees = [
      membrane('house', [
        membrane('kitchen', [membrane('oven'), membrane('sink')]),
        membrane('hall', [membrane('lamp')]),
      ]),
      membrane('shed'),
    ];
    expect(formatTrees(trees, output())).toBe(
      [
        'house  active  ipc',
        '├── kitchen  active  ipc',
        '│   ├── oven  active  ipc',
        '│   └── sink  active  ipc',
        '└── hall  active  ipc',
        '    └── lamp  active  ipc',
        'shed  active  ipc',
      ].join('\n'),
    );
  });

  it.each<[string, Partial<MembraneTree>]>([
    ['oven ×3  active  ipc', { counts: { active: 3, unhealthy: 0, draining: 0 } }],
    ['oven ×6  active  (2 unhealthy, 1 draining)  ipc', { counts: { active: 3, unhealthy: 2, draining: 1 } }],
    ['oven  draining  ipc', { status: 'draining', drain: { reason: null, since: 1 } }],
    ['oven  draining  (new kernel)  ipc', { status: 'draining', drain: { reason: 'new kernel', since: 1 } }],
    ['oven  unhealthy  (draining: disk)  ipc', { status: 'unhealthy', drain: { reason: 'disk', since: 1 } }],
    ['oven  unhealthy  (draining)  ipc', { status: 'unhealthy', drain: { reason: null, since: 1 } }],
    ['oven  active  (detached: hall is absent)  ipc', { parent: 'hall', detached: true }],
  ])('say %j', (line, more) => {
    const { status = 'active' } = more;
    const counts = { active: 0, unhealthy: 0, draining: 0, [status]: 1 };
    expect(formatTrees([membrane('oven', [], { counts, ...more })], output())).toBe(line);
  });

  it('leave nothing of a reason that moves the cursor', () => {
    const drain = { reason: '\u001b[2Jgone', since: 1 };
    const text = formatTrees([membrane('oven', [], { drain })], output());
    expect(text).toContain('gone');
    expect(text).not.toContain('\u001b');
  });

  it('are cut where the terminal ends, but not their ids and states', () => {
    const long = 'x'.repeat(40);
    const trees = [
      membrane(long, [membrane(long, [], { parent: 'hall', detached: true }), membrane('lamp')]),
    ];
    expect(formatTrees(trees, output({ isTerminal: true, width: 60 })).split('\n')).toEqual([
      `${long}  active  ipc`,
      `├── ${long}  active  (deta…`,
      '└── lamp  active  ipc',
    ]);
    expect(formatTrees(trees, output({ isTerminal: true, width: 30 })).split('\n')).toEqual([
      `${long}  active`,
      `├── ${long}  active`,
      '└── lamp  active  ipc',
    ]);
  });

  it('are coloured where that is wanted', () => {
    const text = formatTrees([membrane('hall', [membrane('lamp')])], output({ isColored: true }));
    expect(text).toContain('\u001b[32mactive\u001b[39m');
  });
});
