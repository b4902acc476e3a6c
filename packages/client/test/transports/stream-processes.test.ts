import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RouteAddress } from '../../src/transports/transport.js';
import { eventually } from '../support/eventually.js';
import { useProcesses, type Process } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { message, useTransports } from '../support/transports.js';

const RECEIVER = fileURLToPath(new URL('../fixtures/echo-receiver.mjs', import.meta.url));
const SENDER = fileURLToPath(new URL('../fixtures/one-sender.mjs', import.meta.url));

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();
const processes = useProcesses();

async function startReceiver(path: string): Promise<Process> {
  const receiver = processes.start(process.execPath, [RECEIVER, path]);
  await eventually('the receiver is ready', () => receiver.said.stdout.includes('ready'));
  return receiver;
}

async function prepare(): Promise<{ socketDirectory: string; path: string; to: RouteAddress }> {
  const socketDirectory = await makeDirectory();
  const path = join(socketDirectory, 'oven.sock');
  return { socketDirectory, path, to: { kind: 'ipc', address: path } };
}

describe('a receiver that is killed', () => {
  it('and is back soon gets again what it had no time to answer', async () => {
    const { socketDirectory, path, to } = await prepare();
    const first = await startReceiver(path);
    // Patience, since a process takes its time to start on a busy machine.
    const transport = transports.stream({
      socketDirectory,
      random: () => 1,
      limits: { maxReconnects: 12, connectTimeoutMs: 20_000 },
    });
    await transport.send(message('before'), to);
    const held = transport.send(message('hold'), to);
    const after = transport.send(message('after'), to);
    await expect(after).resolves.toMatchObject({ reply: { payload: 'after', attempt: 1 } });
    first.child.kill('SIGKILL');
    await first.ended;
    const second = await startReceiver(path);
    await eventually('it came again', () => second.said.stdout.includes('hold'));
    await expect(transport.send(message('more'), to)).resolves.toMatchObject({ reply: { payload: 'more' } });
    expect(second.said.stdout).not.toMatch(/after|before/);
    const refused = expect(held).rejects.toMatchObject({ code: 'client_closed' });
    await transport.close();
    await refused;
  });

  it('and stays away makes its messages fail soon, for another way', async () => {
    const { socketDirectory, path, to } = await prepare();
    const receiver = await startReceiver(path);
    const transport = transports.stream({ socketDirectory });
    const held = transport.send(message('hold'), to);
    const failed = expect(held).rejects.toMatchObject({ code: 'not_delivered' });
    await eventually('it came', () => receiver.said.stdout.includes('hold'));
    receiver.child.kill('SIGKILL');
    await failed;
    await expect(transport.send(message('late'), to)).rejects.toMatchObject({ code: 'not_delivered' });
  });
});

it('a receiver that is stopped counts as gone', async () => {
  const { socketDirectory, path, to } = await prepare();
  const receiver = await startReceiver(path);
  const transport = transports.stream({
    socketDirectory,
    limits: { pingIntervalMs: 200, connectTimeoutMs: 300 },
  });
  await transport.send(message('before'), to);
  receiver.child.kill('SIGSTOP');
  await expect(transport.send(message('during'), to)).rejects.toMatchObject({ code: 'not_delivered' });
});

describe('a process', () => {
  it('ends when its sends have ended, though the connection is still there', async () => {
    const { socketDirectory, path } = await prepare();
    await startReceiver(path);
    const sender = processes.start(process.execPath, [SENDER, path, socketDirectory]);
    await expect(sender.ended).resolves.toBe(0);
    expect(sender.said).toEqual({ stdout: 'processed\n', stderr: '' });
  });

  it('stays for a send that somebody waits for, no longer than its deadline', async () => {
    const { socketDirectory, path } = await prepare();
    await startReceiver(path);
    const sender = processes.start(process.execPath, [SENDER, path, socketDirectory, 'hold']);
    await expect(sender.ended).resolves.toBe(0);
    expect(sender.said).toEqual({ stdout: 'processed\nnot_delivered\n', stderr: '' });
  });

  it('does not stay for a transport that holds nobody, nor for a receiver', async () => {
    const { socketDirectory, path } = await prepare();
    const receiver = await startReceiver(path);
    const sender = processes.start(process.execPath, [SENDER, path, socketDirectory, 'unheld']);
    await expect(sender.ended).resolves.not.toBe('SIGKILL');
    expect(sender.said.stdout).not.toContain('not_delivered');
    receiver.child.kill('SIGKILL');
  });
});
