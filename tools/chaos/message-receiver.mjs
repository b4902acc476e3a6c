// A receiver as a process: node message-receiver.mjs SETTING. Its log has a line when a message begins to be handled,
// and one when that ends.
import { setTimeout as sleep } from 'node:timers/promises';
import { answerParent, createClient, openLog, readSetting, tell } from './message-process.mjs';

const SLOW = 0.1;
const MAX_SLOW_MS = 10;

/** @type {import('./message-process.mjs').ProcessSetting} */
const setting = readSetting();
const log = openLog(setting.log);
const client = createClient(setting);
const failed = new Set();

client.onMessage(async ({ sender, payload }) => {
  const { number, target, stream, place, fails } = /** @type {any} */ (payload);
  const name = `${sender}.${number}`;
  log('begin', name, `${sender}:${target}:${stream ?? ''}`, place);
  if (Math.random() < SLOW) await sleep(Math.random() * MAX_SLOW_MS);
  if (fails === 'always' || (fails === 'once' && !failed.has(name))) {
    failed.add(name);
    log('fail', name);
    throw new Error('burnt');
  }
  log('end', name);
});

answerParent(client);
await client.register({ retry: true });
tell({ name: 'ready' });
