// Writes docs/api/openapi.json from the routes of the protocol; with --check it only says whether that is current.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createOpenApiDocument } from '../packages/registry/dist/http/openapi-document.js';

const file = new URL('../docs/api/openapi.json', import.meta.url);
const current = `${JSON.stringify(createOpenApiDocument(), null, 2)}\n`;

if (process.argv.includes('--check')) {
  const committed = await readFile(file, 'utf8').catch(() => '');
  if (committed !== current) {
    console.error('docs/api/openapi.json is not current: run "npm run openapi" and commit it');
    process.exitCode = 1;
  }
} else {
  await mkdir(new URL('.', file), { recursive: true });
  await writeFile(file, current);
}
