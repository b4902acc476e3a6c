// One membrane as a process of its own.
//   node member.mjs ID [PARENT]
// Where the registry is, it learns from MEMBRANE_REGISTRY_URL. It ends with the process that started it.
import { createNamespaceClient } from '@membrane/client';

const [id, parent] = process.argv.slice(2);

const client = createNamespaceClient(id, {
  parent,
  heartbeatIntervalMs: 1_000,
  metadata: { pid: process.pid },
});
client.onMessage(({ sender, payload }) => {
  console.log(`${id} gets "${payload}" from ${sender}`);
  return `this is ${id}`;
});
await client.register();

const above = parent === undefined ? undefined : await client.discover(parent);
console.log(
  `${id} is registered${above === undefined ? '' : `, and finds ${above.id} at ${above.endpoint}`}`,
);
process.send?.('registered');

process.once('disconnect', () => void client.close());
