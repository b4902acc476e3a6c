import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { runContained } from '../process/contained-process.mjs';

/** Starts a process that does not end by itself, writes a file, and says where both are. @param {string} end */
const scriptOf = (end) => `
  const { spawn } = require('node:child_process');
  const { mkdtempSync, writeFileSync } = require('node:fs');
  const { tmpdir } = require('node:os');
  const directory = mkdtempSync(tmpdir() + '/left-');
  writeFileSync(directory + '/file', 'x');
  const left = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'inherit' });
  require('node:fs').writeSync(2, JSON.stringify({ pid: left.pid, directory }) + '\\n');
  ${end}
`;

/** @param {string} end @param {AbortSignal} signal @param {() => void} [onSaid] */
async function runAndLook(end, signal, onSaid) {
  let said = '';
  const code = await runContained(['-e', scriptOf(end)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
    onStderr: (text) => {
      said += text;
      if (said.includes('\n')) onSaid?.();
    },
  });
  const { pid, directory } = JSON.parse(said.split('\n')[0] ?? '');
  return { code, pid, directory };
}

/** A process that has been ended is gone a moment later. @param {number} pid */
async function assertGone(pid) {
  for (let leftMs = 20_000; leftMs > 0; leftMs -= 50) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await sleep(50);
  }
  assert.fail(`process ${pid} is still there`);
}

test('what fails leaves neither processes nor files', async () => {
  const { code, pid, directory } = await runAndLook('process.exit(3);', new AbortController().signal);
  assert.equal(code, 3);
  await assertGone(pid);
  assert.equal(existsSync(directory), false);
});

test('what is stopped leaves neither processes nor files', async () => {
  const stop = new AbortController();
  const { code, pid, directory } = await runAndLook('', stop.signal, () => stop.abort());
  assert.equal(code, 1);
  await assertGone(pid);
  assert.equal(existsSync(directory), false);
});

test('what is stopped before it begins does not begin', async () => {
  const signal = AbortSignal.abort(new Error('enough'));
  await assert.rejects(runContained(['-e', ''], { stdio: 'ignore', signal }), /enough/);
});
