import { createNamespaceClient } from '@membrane/client';
const c = createNamespaceClient('oven', { modes: [process.argv[2]] });
c.onMessage(() => undefined, { concurrency: 1000 });
await c.register();
console.log('ready');
