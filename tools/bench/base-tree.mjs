import { exec, execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const runInShell = promisify(exec);
const SCOPE = '@membrane';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/**
 * Checks a commit out beside the working tree, and builds it.
 *
 * It gets the bench of the working tree, so that both trees are asked the same by the same scripts, and what differs is
 * the packages; a bench that needs something of the packages which that commit does not have yet cannot measure it. It
 * has the dependencies of the working tree too, which spares an installation, but its own packages.
 * @param {string} ref
 * @param {{ signal: AbortSignal; onProgress: (line: string) => void }} options
 * @returns {Promise<{ directory: string; commit: string; remove(): Promise<void> }>}
 */
export async function checkOutBase(ref, { signal, onProgress }) {
  const { stdout } = await git(['rev-parse', '--short', '--verify', `${ref}^{commit}`]);
  const commit = stdout.trim();
  const parent = await realpath(await mkdtemp(join(tmpdir(), 'membrane-bench-base-')));
  const directory = join(parent, 'membrane');
  const remove = async () => {
    await rm(parent, { recursive: true, force: true });
    await git(['worktree', 'prune']);
  };
  try {
    await git(['worktree', 'add', '--quiet', '--detach', directory, commit]);
    await rm(join(directory, 'tools/bench'), { recursive: true, force: true });
    // What the bench uses of the other tools comes along, except where that commit has its own, which belong to its build.
    await cp(join(ROOT, 'tools'), join(directory, 'tools'), { recursive: true, force: false });
    const locks = await Promise.all(
      [ROOT, directory].map((tree) => readFile(join(tree, 'package-lock.json'), 'utf8')),
    );
    if (locks[0] !== locks[1]) {
      onProgress(
        `${ref} names other versions of its dependencies; it is measured with those of the working tree`,
      );
    }
    await linkDependencies(directory);
    await build(directory, signal);
    return { directory, commit, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/**
 * What `nx build` does, without its cache, which both trees would share: the compiler, then what the build of a package
 * depends on besides, as its `package.json` says.
 * @param {string} directory a tree
 * @param {AbortSignal} signal
 */
export async function build(directory, signal) {
  const names = await packagesOf(directory);
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const configs = names.map((name) => `packages/${name}/tsconfig.lib.json`);
  await run(process.execPath, [compiler, '-b', ...configs], { cwd: directory, signal });
  for (const name of names) {
    const text = await readFile(join(directory, 'packages', name, 'package.json'), 'utf8');
    /** @type {Record<string, { command?: string; dependsOn?: string[] }>} */
    const targets = JSON.parse(text).nx?.targets ?? {};
    for (const step of targets['build']?.dependsOn ?? []) {
      const command = targets[step]?.command;
      if (command !== undefined) await runInShell(command, { cwd: directory, signal });
    }
  }
}

/** @param {string} directory */
async function linkDependencies(directory) {
  const from = join(ROOT, 'node_modules');
  const to = join(directory, 'node_modules');
  await mkdir(join(to, SCOPE), { recursive: true });
  for (const name of await readdir(from)) {
    if (name !== SCOPE) await symlink(join(from, name), join(to, name));
  }
  for (const name of await packagesOf(directory)) {
    await symlink(join(directory, 'packages', name), join(to, SCOPE, name));
    const own = join('packages', name, 'node_modules');
    // Where there is none the link leads nowhere, which is as good as none.
    await symlink(join(ROOT, own), join(directory, own));
  }
}

/** @param {string} directory */
async function packagesOf(directory) {
  const entries = await readdir(join(directory, 'packages'), { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** @param {string[]} args */
function git(args) {
  return run('git', args, { cwd: ROOT });
}
