// The registry as it is embedded, with a way to ask what memory it holds: on SIGUSR2 it collects garbage and prints
// its resident set in bytes. node --expose-gc registry-host.mjs DIRECTORY; prints its URL.
import { setTimeout as sleep } from 'node:timers/promises';
import { createRegistry } from '@membrane/registry';

const registry = createRegistry({ port: 0, data: process.argv[2] });
await registry.start();
console.log(registry.url);

process.on('SIGUSR2', () => {
  void (async () => {
    for (let round = 0; round < 5; round += 1) {
      globalThis.gc?.();
      await sleep(200);
    }
    console.log(process.memoryUsage().rss);
  })();
});
process.on('SIGTERM', () => void registry.stop());
