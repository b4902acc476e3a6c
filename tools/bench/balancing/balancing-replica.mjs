// One of several instances of an id: node balancing-replica.mjs URL ID INSTANCE WORK_MS AT_ONCE. Its handler takes that long
// for a message, for a few at once; it answers with the name of the instance.
import { setTimeout as sleep } from 'node:timers/promises';
import { createNamespaceClient } from '@membrane/client';

const [registryUrl = '', id = '', instanceId = '', workMs, atOnce] = process.argv.slice(2);
const client = createNamespaceClient(id, { registryUrl, instanceId, modes: ['network'] });
client.onMessage(
  async () => {
    await sleep(Number(workMs));
    return instanceId;
  },
  { concurrency: Number(atOnce) },
);
await client.register();
process.once('disconnect', () => process.exit());
process.send?.({ ready: true });
