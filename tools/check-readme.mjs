// Runs the first screen of the client's README in a project that has the packages installed: as a module, as
// TypeScript, through require(), and the way without a line of code.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const EXPECTED = 'http://127.0.0.1:8081 { heat: 220 }\noven active\n';
const README_URL = 'http://127.0.0.1:8765';
const PATIENCE_MS = 15_000;

/** @param {{ project: string; readme: string; tsc: string; typeRoots: string }} places */
export async function checkReadme({ project, readme, tsc, typeRoots }) {
  const blocks = [...readFileSync(readme, 'utf8').matchAll(/```js\n([^]*?)```/g)].map(
    ([, code = '']) => code,
  );
  const screen = blocks.find((code) => code.includes('import '));
  const requiring = blocks.find((code) => code.includes('require('));
  if (screen === undefined || requiring === undefined) throw new Error(`${readme} has no first screen in js`);
  const bin = (/** @type {string} */ name) => join(project, 'node_modules', '.bin', name);

  const registry = spawn(bin('membrane-registry'), ['--port', '0', '--data', ':memory:'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const url = await readUrl(registry.stdout);
    // The registry of the README may be another one here.
    const here = (/** @type {string} */ code) => code.replaceAll(README_URL, url);
    const body = screen.replace(/^import .*\n/, '');

    write('screen.mjs', here(screen));
    expectOutput('screen.mjs');
    write('screen.cjs', here(`${requiring}void (async () => {\n${body}})();\n`));
    expectOutput('screen.cjs');
    write('typed.mts', here(screen));
    const options = ['--strict', '--target', 'es2022', '--module', 'nodenext', '--types', 'node'];
    run(tsc, [...options, '--typeRoots', typeRoots, 'typed.mts']);
    expectOutput('typed.mjs');
    await checkAuto(url);
  } finally {
    registry.kill();
  }

  /** @param {string} name @param {string} code */
  function write(name, code) {
    writeFileSync(join(project, name), code);
  }

  /** @param {string} command @param {string[]} args */
  function run(command, args) {
    try {
      const env = { ...process.env, FORCE_COLOR: '0' };
      return execFileSync(command, args, { cwd: project, env, encoding: 'utf8', stdio: 'pipe' });
    } catch (error) {
      const { stdout = '', stderr = '' } = /** @type {{ stdout?: string; stderr?: string }} */ (error);
      throw new Error(`"${command} ${args.join(' ')}" failed\n${stdout}${stderr}`, { cause: error });
    }
  }

  /** @param {string} file */
  function expectOutput(file) {
    const printed = run(process.execPath, [file]);
    if (printed !== EXPECTED)
      throw new Error(`the README as ${file} printed\n${printed}in place of\n${EXPECTED}`);
  }

  /** @param {string} url */
  async function checkAuto(url) {
    const env = {
      ...process.env,
      MEMBRANE_ID: 'lamp',
      MEMBRANE_REGISTRY_URL: url,
      MEMBRANE_SHARED_ROOT: project,
    };
    const discover = () => spawnSync(bin('membrane'), ['discover', 'lamp'], { env }).status;
    const app = spawn(
      process.execPath,
      ['--import', '@membrane/client/auto', '-e', 'setInterval(() => {}, 1000)'],
      { cwd: project, env, stdio: 'inherit' },
    );
    const ended = once(app, 'exit');
    try {
      const endMs = performance.now() + PATIENCE_MS;
      while (discover() !== 0) {
        if (performance.now() > endMs) throw new Error('a program did not register by @membrane/client/auto');
        await sleep(100);
      }
    } finally {
      app.kill('SIGTERM');
      await ended;
    }
    if (discover() !== 4) throw new Error('a program did not leave at SIGTERM');
  }
}

/** @param {import('node:stream').Readable} stdout */
async function readUrl(stdout) {
  for await (const line of createInterface({ input: stdout })) {
    const { msg, url } = JSON.parse(line);
    if (msg === 'ready') return String(url);
  }
  throw new Error('the installed registry did not start');
}
