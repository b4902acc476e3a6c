import { Outbox } from '../../src/messaging/outbox.js';
import { newMessageId } from '../../src/messaging/message-id.js';
import { useClients } from '../support/clients.js';
import { eventually } from '../support/eventually.js';
import { useProcesses } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const { startRegistry } = useProcesses();
const createClient = useClients();
const makeDirectory = useTemporaryDirectories();

const LEFT = 40;

/** An outbox as a process leaves it that is killed before it sent anything. */
async function leaveMessages(directory: string): Promise<void> {
  const outbox = await Outbox.open({ directory });
  for (let number = 1; number <= LEFT; number += 1) {
    const envelope = {
      id: newMessageId(),
      sender: 'baker',
      target: 'oven',
      payload: number,
      session: outbox.session,
      stream: 'bread',
      sequence: outbox.nextSequence('oven', 'bread'),
    };
    await outbox.put({ envelope, deadlineAtMs: Date.now() + 60_000, options: {} });
  }
  await outbox.close();
}

it('what an outbox has left of a stream comes before what is sent next', async () => {
  const { url: registryUrl } = await startRegistry();
  const socketDirectory = await makeDirectory();
  const outbox = await makeDirectory();
  await leaveMessages(outbox);
  const options = { registryUrl, modes: ['ipc'] as const, socketDirectory };
  const oven = createClient('oven', { ...options, communicationMode: 'ipc' }).client;
  const handled: unknown[] = [];
  oven.onMessage(({ payload }) => void handled.push(payload));
  await oven.register();
  const baker = createClient('baker', { ...options, outbox }).client;
  const dead: unknown[] = [];
  baker.on('deadLetter', ({ envelope, error }) => dead.push([envelope.payload, error.code]));
  await baker.sendMessage('oven', LEFT + 1, { stream: 'bread' });
  await eventually('all are settled', () => handled.length + dead.length >= LEFT + 1);
  expect(dead).toEqual([]);
  expect(handled).toEqual(Array.from({ length: LEFT + 1 }, (_, index) => index + 1));
});
