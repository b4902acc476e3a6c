// Packs every package as npm would publish it, checks the tarballs (publint, attw) and what they take when installed,
// installs them in an empty project outside the repository, imports each entry there, runs the commands, and the first
// screen of the client's README.
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkReadme } from './check-readme.mjs';
import {
  INSTALL_LIMITS,
  listPackages,
  measureInstalledBytes,
  packPackages,
  run,
} from './packed-packages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (/** @type {string} */ name) => join(root, 'node_modules', '.bin', name);
const packages = listPackages();

const project = mkdtempSync(join(tmpdir(), 'membrane-packages-'));
try {
  const packed = packPackages(project);
  for (const [name, { tarball, entryCount, unpackedSize }] of packed) {
    run(bin('publint'), ['run', tarball, '--strict'], root);
    run(bin('attw'), [tarball, '--profile', 'esm-only'], root);
    console.log(`${name}: packed ${entryCount} files, ${unpackedSize} bytes; publint and attw agree`);
  }
  for (const [name, limit] of Object.entries(INSTALL_LIMITS)) {
    const bytes = measureInstalledBytes(name, packed, project);
    const words = `${name}: ${toMegabytes(bytes)} with all that it needs, of ${toMegabytes(limit)} at most`;
    if (bytes > limit) throw new Error(words);
    console.log(words);
  }

  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  // The SQLite driver was compiled for this repository: doing so once more takes two minutes, and tells nothing new.
  const tarballs = [...packed.values()].map(({ tarball }) => tarball);
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...tarballs], project);
  const driver = join('node_modules', 'sqlite3', 'build');
  cpSync(join(root, driver), join(project, driver), { recursive: true });
  for (const { name } of packages) {
    run('node', ['--input-type=module', '--eval', `await import('${name}')`], project);
  }
  for (const command of ['membrane', 'membrane-registry']) {
    const version = run(join(project, 'node_modules', '.bin', command), ['--version'], project).trim();
    const expected = packages[0]?.version;
    if (version !== expected) throw new Error(`${command} --version says "${version}", not "${expected}"`);
  }
  console.log('installed in an empty project: every entry can be imported, the commands run');
  await checkReadme({
    project,
    readme: join(root, 'packages', 'client', 'README.md'),
    tsc: bin('tsc'),
    typeRoots: join(root, 'node_modules', '@types'),
  });
  console.log(
    'the README runs there: as a module, as TypeScript, through require(), and without a line of code',
  );
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(project, { recursive: true, force: true });
}

/** @param {number} bytes */
function toMegabytes(bytes) {
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}
