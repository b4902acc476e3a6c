// Makes packages/cli/dist/*.js, what `membrane` runs: a dozen files in place of the 400 modules that Node would otherwise
// find, read and compile one by one at each start. The types beside are tsc's. Part of "nx build"; the tests of the
// command make it anew by themselves. THIRD-PARTY-LICENSES beside it says what is in it of others.
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const directory = join(root, 'packages', 'cli', 'dist');
const LICENSES = 'THIRD-PARTY-LICENSES';

/**
 * What libraries load at once, and no verb ever uses. A registry is asked by plain HTTP/1.1 and JSON: no form, no proxy,
 * no redirect, no fetch. Help is plain ASCII: the width of a text in it is its length.
 * @type {Readonly<Record<string, { from: RegExp; contents: string }>>}
 */
const UNUSED = {
  'form-data': { from: /axios/, contents: 'export default undefined;' },
  'https-proxy-agent': { from: /axios/, contents: 'export default class {}' },
  'follow-redirects': { from: /axios/, contents: 'export default {};' },
  http2: { from: /axios/, contents: 'export default {};' },
  './fetch.js': { from: /axios/, contents: 'export const getFetch = () => undefined;' },
  'string-width': {
    from: /node_modules.(cliui|yargs|wrap-ansi)\b/,
    contents: `
      import { stripVTControlCharacters } from 'node:util';
      export default (text) => stripVTControlCharacters(text).length;
    `,
  },
};

/**
 * What libraries do at each start, at a price, and what no verb needs.
 * @type {readonly { file: RegExp; from: string; to: string }[]}
 */
const CUTS = [
  {
    // To look whether there is a FormData makes Node load all of fetch.
    file: /axios.lib.utils\.js$/,
    from: "typeof G.FormData !== 'undefined' ? G.FormData : undefined",
    to: 'undefined',
  },
  {
    // Writes the help of the verb that is running, in case that somebody asks for it afterwards.
    file: /yargs.build.lib.command\.js$/,
    from: 'yargs.getInternalMethods().getUsageInstance().cacheHelpMessage();',
    to: '',
  },
];

/** @type {import('esbuild').Plugin} */
const leaveOutUnused = {
  name: 'leave-out-unused',
  setup({ onResolve, onLoad, onEnd }) {
    const unmet = new Set([...Object.keys(UNUSED), ...CUTS.map(({ file }) => String(file))]);
    onResolve({ filter: /.*/ }, ({ path, importer }) => {
      if (UNUSED[path]?.from.test(importer) !== true) return undefined;
      unmet.delete(path);
      return { path, namespace: 'unused' };
    });
    onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({ contents: UNUSED[path]?.contents }));
    for (const { file, from, to } of CUTS) {
      onLoad({ filter: file }, async ({ path }) => {
        unmet.delete(String(file));
        const [before, after, ...more] = (await readFile(path, 'utf8')).split(from);
        if (after === undefined || more.length > 0) throw new Error(`${path} has changed: see CUTS`);
        return { contents: `${before}${to}${after}` };
      });
    }
    // A library that names its files anew would be bundled whole again, without a word.
    onEnd(() => ({
      errors: [...unmet].map((name) => ({ text: `nothing loads ${name} any more: see UNUSED and CUTS` })),
    }));
  },
};

export default async function bundleCli() {
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['packages/cli/src/index.ts'],
    outdir: directory,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    // Less to read and to compile. Names stay: libraries look at those of their functions.
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    chunkNames: '[name]-[hash]',
    // The optional package is found, or not, where the command is installed; ws does without its own two.
    external: ['@membrane/registry', 'bufferutil', 'utf-8-validate'],
    // For the libraries that are CommonJS.
    banner: {
      js: `import { createRequire as createBundleRequire } from 'node:module'; const require = createBundleRequire(import.meta.url);`,
    },
    plugins: [leaveOutUnused],
    metafile: true,
    write: false,
  });
  await mkdir(directory, { recursive: true });
  for (const { path, contents } of outputFiles) await writeChanged(path, contents);
  await writeChanged(join(directory, LICENSES), Buffer.from(await collectLicenses(metafile)));
  const written = new Set(outputFiles.map(({ path }) => path));
  for (const name of await readdir(directory, { recursive: true })) {
    const path = join(directory, name);
    if (name.endsWith('.js') && !written.has(path)) await rm(path, { force: true });
  }
}

/**
 * A process that runs meanwhile finds every file whole.
 * @param {string} path
 * @param {Uint8Array} contents
 */
async function writeChanged(path, contents) {
  const before = await readFile(path).catch(() => undefined);
  if (before?.equals(contents) === true) return;
  const temporary = `${path}.${process.pid}`;
  await writeFile(temporary, contents);
  await rename(temporary, path);
}

/** @param {import('esbuild').Metafile} metafile */
async function collectLicenses({ outputs }) {
  const folders = new Set();
  for (const { inputs } of Object.values(outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(inputs)) {
      const [folder] = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file.split(sep).join('/')) ?? [];
      if (folder !== undefined && bytesInOutput > 0) folders.add(folder);
    }
  }
  const entries = [...folders].map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(root, folder, 'package.json'), 'utf8'));
    const file = (await readdir(join(root, folder))).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined) throw new Error(`${name} has no licence file, and cannot be shipped`);
    const text = await readFile(join(root, folder, file), 'utf8');
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  });
  const texts = (await Promise.all(entries)).sort();
  return `What ${basename(dirname(directory))}/dist contains of others.\n\n${texts.join(`\n${'-'.repeat(80)}\n\n`)}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundleCli();
