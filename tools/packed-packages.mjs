// The packages as npm would publish them, and what they take on a disk.
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** What people may have to install, with all that it needs: bytes of the files, as `npm install --omit=dev` leaves them. */
export const INSTALL_LIMITS = /** @type {const} */ ({
  '@membrane/client': 14_000_000,
  // Without the registry, which is optional.
  '@membrane/cli': 16_000_000,
});

/** @typedef {{ directory: string; name: string; version: string }} Package */
/** @typedef {{ tarball: string; entryCount: number; unpackedSize: number }} Packed */

/** @returns {Package[]} */
export function listPackages() {
  return readdirSync(join(root, 'packages')).map((folder) => {
    const directory = join(root, 'packages', folder);
    const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    return { directory, name: String(manifest.name), version: String(manifest.version) };
  });
}

/**
 * Each package in a tarball in this directory, by name.
 * @param {string} directory
 * @returns {Map<string, Packed>}
 */
export function packPackages(directory) {
  return new Map(
    listPackages().map(({ directory: source, name }) => {
      const [{ filename, entryCount, unpackedSize }] = JSON.parse(
        run('npm', ['pack', '--json', '--pack-destination', directory], source),
      );
      return [name, { tarball: join(directory, filename), entryCount, unpackedSize }];
    }),
  );
}

/**
 * Installs one of the packages in an empty project below this directory.
 * @param {string} name
 * @param {ReadonlyMap<string, Packed>} packed
 * @param {string} directory
 * @returns what its files take, and those of all that it needs
 */
export function measureInstalledBytes(name, packed, directory) {
  const project = mkdtempSync(join(directory, 'installed-'));
  const files = Object.fromEntries([...packed].map(([other, { tarball }]) => [other, `file:${tarball}`]));
  const { [name]: own, ...others } = files;
  // The others are there to be found by those who need them, and are left out where nobody does.
  const manifest = { private: true, dependencies: { [name]: own }, optionalDependencies: others };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const args = ['--omit=dev', '--omit=optional', '--ignore-scripts', '--no-audit', '--no-fund'];
  run('npm', ['install', ...args], project);
  const modules = join(project, 'node_modules');
  // A directory takes what its file system likes.
  return readdirSync(modules, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name: file }) => sum + lstatSync(join(parentPath, file)).size, 0);
}

/**
 * What a command prints.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {string} cwd
 */
export function run(command, args, cwd) {
  try {
    return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout = '', stderr = '' } = /** @type {{ stdout?: string; stderr?: string }} */ (error);
    throw new Error(`"${command} ${args.join(' ')}" failed\n${stdout}${stderr}`, { cause: error });
  }
}
