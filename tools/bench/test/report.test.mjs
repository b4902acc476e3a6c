import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatReport } from '../report/report.mjs';
import { growthOf } from '../scale/growth.mjs';
import { median, spread } from '../report/statistics.mjs';
import { aimOf, reached } from '../report/target.mjs';

test('of an even number of rounds, the median lies between the two in the middle', () => {
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([30, 10, 20]), 20);
  assert.equal(median([7]), 7);
  assert.equal(median([]), Number.NaN);
});

test('the spread is the range of the rounds by their median', () => {
  assert.equal(spread([90, 100, 120]), 0.3);
  assert.equal(spread([5, 5]), 0);
  assert.equal(spread([5]), undefined);
  assert.equal(spread(undefined), undefined);
});

test('a report shows the ratio, and how far the rounds of both were apart', () => {
  const text = formatReport('registry', [
    {
      what: 'heartbeat',
      value: 90,
      unit: '/s',
      reference: 100,
      referenceName: 'bare',
      target: '0.90 or better',
      samples: [81, 90, 99],
      referenceSamples: [100, 100],
    },
    { what: 'load', value: 1_500, unit: 's', target: '' },
  ]);
  assert.match(text, /heartbeat +90\.00 \/s +100 \/s \(bare\) +0\.90 +20% \/ 0% +0\.90 or better/);
  assert.match(text, /load +1,500 s$/m);
});

/** @param {string} target @param {number} value @param {number} [reference] */
const reachedBy = (target, value, reference) => {
  const aim = aimOf({ what: '', unit: '/s', value, target, reference });
  return aim && reached(aim);
};

test('a target is about the ratio where there is a reference, unless it names the value', () => {
  assert.equal(reachedBy('0.90 or better', 180, 100), 2);
  assert.equal(reachedBy('1.60 or less', 320, 100), 0.5);
  assert.equal(reachedBy('at most 150 ms', 75, 41_000), 2);
  assert.equal(reachedBy('at least 350,000', 700_000), 2);
  assert.equal(reachedBy('800,000/s or more', 400_000, 1_400_000), 0.5);
  assert.equal(reachedBy('0.80 to 1.25', 40, 100), 0.5);
  assert.equal(reachedBy('0.80 to 1.25', 250, 100), 0.5);
  assert.equal(reachedBy('', 1), undefined);
  assert.equal(reachedBy('0', 1), undefined);
  assert.equal(reachedBy('/v3/kv/range: not found', 1), undefined);
});

test('growth is the exponent of N', () => {
  assert.equal(
    growthOf([
      [1, 5],
      [10, 50],
      [100, 500],
    ]).toFixed(6),
    '1.000000',
  );
  assert.equal(
    growthOf([
      [1, 3],
      [100, 3],
    ]).toFixed(6),
    '0.000000',
  );
  assert.equal(
    growthOf([
      [10, 1],
      [1_000, 10],
    ]).toFixed(6),
    '0.500000',
  );
  assert.ok(Number.isNaN(growthOf([[10, 1]])));
});
