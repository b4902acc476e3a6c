import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareRounds, formatComparison } from '../report/comparison.mjs';

/** @param {readonly number[]} values one a round @param {string} unit */
const rounds = (values, unit = '/s') =>
  values.map((value) => [{ what: 'heartbeat', value, unit, target: '' }]);

/** @param {readonly number[]} base @param {readonly number[]} tree @param {string} [unit] */
const compare = (base, tree, unit) => compareRounds(rounds(base, unit), rounds(tree, unit))[0];

test('a change that is larger than what rounds of one tree differ by is told', () => {
  const found = compare([100, 104, 98], [120, 125, 121]);
  assert.equal(found?.verdict, 'better');
  assert.equal(found?.base, 100);
  assert.equal(found?.tree, 121);
  assert.equal(found?.change.toFixed(2), '0.21');
  assert.equal(found?.noise.toFixed(2), '0.06');
});

test('a change within what rounds of either tree differ by is noise', () => {
  assert.equal(compare([100, 104, 98], [103, 106, 104])?.verdict, 'none');
  assert.equal(compare([100, 101, 100], [90, 110, 140])?.verdict, 'none');
  assert.equal(compare([100, 140, 90], [110, 111, 110])?.verdict, 'none');
});

test('less is better of what is a time or a size, and unknown of what has no unit', () => {
  assert.equal(compare([100, 101, 100], [50, 51, 50], 'ms')?.verdict, 'better');
  assert.equal(compare([100, 101, 100], [150, 151, 150], 'bytes')?.verdict, 'worse');
  assert.equal(compare([100, 101, 100], [50, 51, 50], '/s')?.verdict, 'worse');
  assert.equal(compare([3, 3, 3], [2, 2, 2], '')?.verdict, 'other');
  assert.equal(compare([0, 0, 0], [0, 0, 0], '')?.verdict, 'none');
});

test('what one tree has not measured twice is left out', () => {
  assert.deepEqual(compareRounds(rounds([1, 2, 3]), rounds([1])), []);
  assert.deepEqual(compareRounds([], rounds([1, 2, 3])), []);
});

test('each figure has a line with both medians, the change, the noise and what that means', () => {
  const text = formatComparison(
    'registry',
    'main',
    compareRounds(rounds([100, 104, 98]), rounds([80, 81, 79])),
  );
  assert.match(text, /heartbeat +100 \/s +80\.00 \/s +-20\.0% +6\.0% +WORSE/);
});
