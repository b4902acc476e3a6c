// A membrane that handles messages: node member.mjs ID [PARENT]. It ends with the process that started it.
import { createNamespaceClient } from '@membrane/client';

const [id, parent] = process.argv.slice(2);

const client = createNamespaceClient(id, { parent, heartbeatIntervalMs: 500 });
client.onMessage(({ sender, payload, stream }) => {
  console.log(
    `${id}: ${JSON.stringify(payload)} from ${sender}${stream === undefined ? '' : `, in ${stream}`}`,
  );
  process.send?.({ handled: payload });
  return `${id} heard ${JSON.stringify(payload)}`;
});
await client.register();
process.send?.({ registered: id });

process.once('disconnect', () => void client.close());
