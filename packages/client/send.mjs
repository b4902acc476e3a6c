import { createNamespaceClient } from '@membrane/client';
const mode = process.argv[2];
const c = createNamespaceClient('cook', { modes: [mode] });
const N = Number(process.argv[3] ?? 50000);
const payload = { text: 'x'.repeat(180) };
for (let i = 0; i < 500; i++) await c.sendMessage('oven', payload);
const lat = [];
for (let i = 0; i < 2000; i++) {
  const t = performance.now();
  await c.sendMessage('oven', payload);
  lat.push(performance.now() - t);
}
lat.sort((a, b) => a - b);
console.log(mode, 'p50 us', (lat[1000] * 1000).toFixed(0));
let left = N;
const t0 = performance.now();
await Promise.all(
  Array.from({ length: 64 }, async () => {
    while (left-- > 0) await c.sendMessage('oven', payload);
  }),
);
console.log(mode, '/s', Math.round((N / (performance.now() - t0)) * 1000));
await c.close();
