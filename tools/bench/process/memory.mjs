import { setTimeout as sleep } from 'node:timers/promises';

/** On SIGUSR2 collects garbage, and tells the parent process what is left. */
export function tellMemory() {
  process.on('SIGUSR2', () => {
    void (async () => {
      for (let round = 0; round < 5; round += 1) {
        globalThis.gc?.();
        await sleep(100);
      }
      const { rss, heapUsed } = process.memoryUsage();
      process.send?.({ memory: { rss, heapUsed } });
    })();
  });
}
