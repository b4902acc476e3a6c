import { FakeTaker } from '../support/fake-taker.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { message, useTransports } from '../support/transports.js';
import type { RouteAddress } from '../../src/transports/transport.js';

const transports = useTransports();
const makeDirectory = useTemporaryDirectories();

describe.each(['network', 'ipc'] as const)('messages over %s', (kind) => {
  const open = async (taker: FakeTaker): Promise<{ to: RouteAddress; socketDirectory: string }> => {
    const socketDirectory = await makeDirectory();
    const { to } =
      kind === 'ipc' ? await transports.openSocket(socketDirectory, taker) : await transports.openTcp(taker);
    return { to, socketDirectory };
  };

  it('arrive in order, and are answered as processed', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    const transport = transports.stream({ socketDirectory });
    const numbers = Array.from({ length: 200 }, (_, index) => index);
    const results = await Promise.all(numbers.map((number) => transport.send(message(number), to)));
    expect(taker.payloads).toEqual(numbers);
    expect(new Set(results.map(({ outcome }) => outcome))).toEqual(new Set(['processed']));
  });

  it('bring the reply of the handler', async () => {
    const taker = new FakeTaker();
    taker.reply = { temperature: 220, words: ['heiß', '"quoted"', '\n'] };
    const { to, socketDirectory } = await open(taker);
    const result = await transports.stream({ socketDirectory }).send(message('how hot?'), to);
    expect(result).toEqual({ outcome: 'processed', reply: taker.reply });
  });

  it('carry the time that is left', async () => {
    const taker = new FakeTaker();
    const { to, socketDirectory } = await open(taker);
    await transports.stream({ socketDirectory }).send(message('soon', { timeoutMs: 10_000 }), to);
    const { ttl_ms: ttlMs } = taker.taken[0]!.envelope;
    expect(ttlMs).toBeGreaterThan(5_000);
    expect(ttlMs).toBeLessThanOrEqual(10_000);
  });
});
