// A sender as a process: node message-sender.mjs SETTING. Its log has a line before a message is sent, and one when it
// is settled. Started again, it goes on with the next one: those before are in its outbox, or are told to be lost.
import { existsSync, readFileSync } from 'node:fs';
import { MessagePlan } from './message-plan.mjs';
import { answerParent, createClient, openLog, readSetting, tell } from './message-process.mjs';

const TELL_EVERY_MS = 20;

/**
 * @typedef {import('./message-process.mjs').ProcessSetting & {
 *   seed: number; targets: string[]; count: number; windowSize: number; timeoutMs: number; outbox?: string;
 * }} SenderSetting
 */
/** @type {SenderSetting} */
const setting = readSetting();
const { count, windowSize, outbox } = setting;
const plan = new MessagePlan(setting);
let sent = 0;
/** In this run. */
let settled = 0;
for (const before = countSent(); sent < before; sent += 1) plan.next();
const log = openLog(setting.log);
const client = createClient(setting, { outbox });
client.on('deadLetter', ({ envelope, error }) => {
  log('dead', /** @type {any} */ (envelope.payload).number, error.code);
});

function countSent() {
  if (!existsSync(setting.log)) return 0;
  return readFileSync(setting.log, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('send ')).length;
}

async function sendOneAfterTheOther() {
  while (sent < count) {
    sent += 1;
    const { timeoutMs = setting.timeoutMs, ...message } = plan.next();
    const { number, target, stream, ...rest } = message;
    log('send', number, target);
    try {
      const { outcome, route, attempts } = await client.sendMessage(
        target,
        { number, target, stream: stream ?? null, ...rest },
        { timeoutMs, stream },
      );
      log('settled', number, outcome, route.kind, attempts.length);
    } catch (error) {
      log('dead', number, /** @type {any} */ (error).code ?? String(error));
    }
    settled += 1;
  }
}

answerParent(client);
// It also sends what an earlier run left in the outbox.
await client.register({ retry: true });
const tellProgress = () => tell({ name: 'progress', sent, settled });
const timer = setInterval(tellProgress, TELL_EVERY_MS);
await Promise.all(Array.from({ length: windowSize }, sendOneAfterTheOther));
clearInterval(timer);
tellProgress();
tell({ name: 'finished' });
