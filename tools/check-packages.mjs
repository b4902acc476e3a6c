// Packs every package as npm would publish it, checks the tarballs (publint, attw), installs them in an empty project
// outside the repository, imports each entry there, runs the commands, and the first screen of the client's README.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkReadme } from './check-readme.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = (/** @type {string} */ name) => join(root, 'node_modules', '.bin', name);

const packages = readdirSync(join(root, 'packages')).map((folder) => {
  const directory = join(root, 'packages', folder);
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  return { directory, name: String(manifest.name), version: String(manifest.version) };
});

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function run(command, args, cwd) {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout = '', stderr = '' } = /** @type {{ stdout?: string; stderr?: string }} */ (error);
    throw new Error(`"${command} ${args.join(' ')}" failed\n${stdout}${stderr}`, { cause: error });
  }
}

const project = mkdtempSync(join(tmpdir(), 'membrane-packages-'));
try {
  const tarballs = packages.map(({ directory, name }) => {
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', project], directory));
    const tarball = join(project, packed.filename);
    run(bin('publint'), ['run', tarball, '--strict'], root);
    run(bin('attw'), [tarball, '--profile', 'esm-only'], root);
    console.log(
      `${name}: packed ${packed.entryCount} files, ${packed.unpackedSize} bytes; publint and attw agree`,
    );
    return tarball;
  });

  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n');
  // The SQLite driver was compiled for this repository: doing so once more takes two minutes, and tells nothing new.
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
