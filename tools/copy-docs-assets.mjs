// Copies the parts of Swagger UI that the registry serves under /docs into packages/registry/assets. The package
// itself is ten times as large and reports its installation, so it is no dependency of the registry.
import { copyFile, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
const target = fileURLToPath(new URL('../packages/registry/assets/swagger-ui', import.meta.url));

await mkdir(target, { recursive: true });
for (const file of ['swagger-ui.css', 'swagger-ui-bundle.js', 'LICENSE', 'NOTICE']) {
  await copyFile(join(source, file), join(target, file));
}
