import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawRun } from '../report/plot.mjs';

const record = {
  machine: { cpu: 'a <fast> one', cores: 2, memoryBytes: 2 ** 33, kernel: 'linux 6', node: 'v20.19.0' },
  date: '2026-01-02T03:04:05.000Z',
  commit: 'abcdef0',
  short: true,
  notMeasured: {},
};

test('a bar for each figure with a target, and a panel for each plot', () => {
  const svg = drawRun({
    ...record,
    suites: {
      registry: {
        figures: [
          { what: 'heartbeat', value: 90, unit: '/s', reference: 100, target: '0.90 or better' },
          { what: 'load & serve', value: 30, unit: 's', target: 'at most 15' },
          { what: 'no target', value: 1, unit: '', target: '' },
        ],
      },
      scale: {
        figures: [],
        plots: [
          {
            title: 'Memory',
            xTitle: 'held',
            unit: 'MiB',
            curves: [
              {
                name: 'heap',
                points: [
                  [10_000, 20],
                  [100_000, 0],
                  [1_000_000, 2_000],
                ],
              },
            ],
          },
        ],
      },
    },
  });
  assert.equal(svg.match(/class="good"/g)?.length, 1);
  assert.equal(svg.match(/class="bad"/g)?.length, 1);
  assert.doesNotMatch(svg, /no target/);
  assert.match(svg, /load &amp; serve/);
  assert.match(svg, /a &lt;fast> one/);
  assert.match(svg, /<polyline [^>]*points="[\d., ]+"/);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
});

test('a run without targets and curves has only its machine', () => {
  assert.doesNotMatch(drawRun({ ...record, suites: {} }), /NaN|undefined|Infinity|polyline/);
});
