import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** @typedef {import('node:child_process').ChildProcess} Worker */

/**
 * A process on cores of its own, where that can be had, which does what it is asked for.
 * @param {URL} script
 * @param {string[]} args
 * @param {string} cores as taskset has them
 * @returns {Promise<{ worker: Worker; word: any }>} with the first word that it says
 */
export async function startWorker(script, args, cores) {
  const hasTaskset = spawnSync('taskset', ['-V']).error === undefined;
  const worker = fork(script, args, {
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  if (hasTaskset) spawnSync('taskset', ['-acp', cores, String(worker.pid)]);
  return { worker, word: await nextWord(worker) };
}

/**
 * @param {Worker} worker
 * @param {object} what
 * @returns {Promise<any>} the value that it answers with
 */
export async function ask(worker, what) {
  const word = nextWord(worker);
  worker.send(what);
  return (await word).value;
}

/** @param {Worker} worker one that tells its memory @returns {Promise<{ rss: number; heapUsed: number }>} */
export async function memoryOf(worker) {
  const word = nextWord(worker);
  worker.kill('SIGUSR2');
  return (await word).memory;
}

/** @param {Worker} worker */
export async function stopWorker(worker) {
  if (worker.exitCode !== null || worker.signalCode !== null) return;
  const gone = once(worker, 'exit');
  worker.kill('SIGKILL');
  await gone;
}

/** @param {Worker} worker @returns {Promise<any>} */
function nextWord(worker) {
  return new Promise((resolve, reject) => {
    const onMessage = (/** @type {unknown} */ word) => {
      worker.off('exit', onExit);
      resolve(word);
    };
    const onExit = () => {
      worker.off('message', onMessage);
      reject(new Error(`${worker.spawnargs.slice(2).join(' ')} ended`));
    };
    worker.once('message', onMessage);
    worker.once('exit', onExit);
  });
}
