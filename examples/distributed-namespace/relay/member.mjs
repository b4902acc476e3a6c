// A membrane on one of the hosts: node member.mjs ID OPTIONS. It says what it hears, and sends what it is asked to.
import { createNamespaceClient } from '@membrane/client';

const [id, options = '{}'] = process.argv.slice(2);
const { relay, ...clientOptions } = JSON.parse(options);

const client = createNamespaceClient(id, { ...clientOptions, heartbeatIntervalMs: 1_000 });
client.onMessage(({ sender, payload, path }) => {
  process.send?.({
    heard: `${payload}, from ${sender}${path.length === 0 ? '' : `, by way of ${path.join(', ')}`}`,
  });
});
await client.register({ relay });
process.on('message', async (/** @type {{ target: string; payload: string }} */ { target, payload }) => {
  try {
    const { outcome, route } = await client.sendMessage(target, payload);
    process.send?.({ sent: `${outcome} by ${route.kind}` });
  } catch (error) {
    process.send?.({ sent: `failed: ${error instanceof Error ? error.message : error}` });
  }
});
process.send?.({ ready: true });
process.once('disconnect', () => void client.close());
