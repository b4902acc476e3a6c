import { fileURLToPath } from 'node:url';
import { MembraneError, type ErrorCode } from '@membrane/protocol';
import { MailboxDeadLetters } from '../../src/messaging/mailbox-dead-letters.js';
import { MailboxTransport } from '../../src/transports/mailbox-transport.js';
import { eventually } from '../support/eventually.js';
import { FakeTaker, type Taken } from '../support/fake-taker.js';
import { LEASE_TOKEN, useMailboxes } from '../support/mailboxes.js';
import { useProcesses } from '../support/processes.js';
import { useProxies } from '../support/proxy.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';
import { message } from '../support/transports.js';
import type { RegistryApi } from '../../src/registry-api.js';

const OWNER = fileURLToPath(new URL('../fixtures/mailbox-owner.mjs', import.meta.url));
const TO = { kind: 'mailbox', address: 'oven' } as const;

const makeDirectory = useTemporaryDirectories();
const { start, startRegistry } = useProcesses();
const createProxy = useProxies();
const { connect, register, collect } = useMailboxes();

async function post(api: RegistryApi, ...payloads: (string | number)[]): Promise<void> {
  const transport = new MailboxTransport({ api, timeoutMs: 5_000 });
  for (const payload of payloads) await transport.send(message(payload), TO);
}

function ackedOf(acked: readonly (readonly { outcome: string }[])[]): string[] {
  return acked.flat().map(({ outcome }) => outcome);
}

describe('sending to a mailbox', () => {
  it('is done when the registry has the message durably, whatever its owner does', async () => {
    const data = await makeDirectory();
    const registry = await startRegistry({ data });
    const api = connect(registry.url);
    await register(api);
    const transport = new MailboxTransport({ api, timeoutMs: 5_000 });
    const sent = message({ heat: 200 }, { timeoutMs: 60_000 });
    expect(await transport.send(sent, TO)).toEqual({ outcome: 'queued' });
    expect(await transport.send(sent, TO)).toEqual({ outcome: 'queued' });
    await registry.kill();
    await startRegistry({ data, port: registry.port });
    const taker = new FakeTaker();
    collect({ api, taker });
    await eventually('it is there', () => taker.taken.length > 0);
    const { timestamp, ...envelope } = sent.envelope;
    expect(taker.taken[0]!.envelope).toMatchObject({ ...envelope, attempt: expect.any(Number) as number });
    expect(taker.taken[0]!.envelope.timestamp).toBeCloseTo(timestamp!, 3);
    expect(taker.taken[0]!.envelope.ttl_ms).toBeGreaterThan(1_000);
    expect(taker.taken[0]!.envelope.ttl_ms).toBeLessThanOrEqual(60_000);
    expect(taker.taken[0]!.options.isKept).toBe(true);
    await eventually('it is acknowledged', () => api.acked.length > 0);
    expect(taker.taken).toHaveLength(1);
  });

  it('fails as the registry says, once', async () => {
    const { port } = await startRegistry();
    const proxy = await createProxy(port);
    const api = connect(proxy.url);
    await register(api);
    const transport = new MailboxTransport({ api, timeoutMs: 5_000 });
    const toNobody = transport.send(message(1), { kind: 'mailbox', address: 'nobody' });
    await expect(toNobody).rejects.toMatchObject({ code: 'not_found' });
    const late = transport.send(message(1, { timeoutMs: 0 }), TO);
    await expect(late).rejects.toMatchObject({ code: 'expired' });
    await expect(transport.send(message('x'.repeat(1024 * 1024)), TO)).rejects.toMatchObject({
      code: 'payload_too_large',
    });
    const big = 'x'.repeat(1_000_000);
    for (let count = 0; count < 16; count += 1) await transport.send(message(big), TO);
    await expect(transport.send(message(big), TO)).rejects.toMatchObject({
      code: 'mailbox_full',
      details: { retryAfterMs: expect.any(Number) as number },
    });
    expect(proxy.requests('/messages/nobody?namespace=default')).toBe(1);
  });

  it('says that no registry answers, and does not try again', async () => {
    const registry = await startRegistry();
    const api = connect(registry.url);
    await registry.kill();
    const transport = new MailboxTransport({ api, timeoutMs: 5_000 });
    await expect(transport.send(message(1), TO)).rejects.toMatchObject({ code: 'registry_unreachable' });
    const ending = new AbortController();
    const reason = new Error('enough');
    ending.abort(reason);
    await expect(transport.send(message(1), TO, { signal: ending.signal })).rejects.toBe(reason);
    await transport.close();
  });
});

describe('a collector', () => {
  it('hands over what waited and what comes, in order, and has it gone when it is done', async () => {
    const data = await makeDirectory();
    const registry = await startRegistry({ data });
    const api = connect(registry.url);
    await register(api);
    const waited = Array.from({ length: 120 }, (_, index) => index);
    await post(api, ...waited);
    const taker = new FakeTaker();
    const collector = collect({ api, taker });
    collector.start();
    await eventually('all that waited is there', () => taker.taken.length >= 120);
    await post(api, 'comes', 'later');
    await eventually('what came is there', () => taker.taken.length >= 122);
    expect(taker.payloads).toEqual([...waited, 'comes', 'later']);
    await collector.stop();
    await collector.stop();
    expect(taker.listeners).toBe(0);
    expect(ackedOf(api.acked)).toEqual(Array<string>(122).fill('processed'));
    // Many by one call.
    expect(api.acked.length).toBeLessThan(60);
    expect(api.unknown).toEqual([]);
    await registry.kill();
    await startRegistry({ data, port: registry.port });
    expect(await api.collectMessages({ id: 'oven', leaseToken: LEASE_TOKEN })).toEqual([]);
    await post(api, 'once more');
    collector.start();
    await eventually('it runs again', () => taker.payloads.includes('once more'));
  });

  it('makes dead letters of what failed or cannot be taken, and leaves what can be taken later', async () => {
    const { url } = await startRegistry();
    const api = connect(url);
    await register(api);
    const taker = new FakeTaker();
    const refused: ErrorCode[] = ['wrong_receiver', 'out_of_order', 'expired', 'no_handler', 'client_closed'];
    const results: ErrorCode[] = ['handler_failed', 'client_closed'];
    taker.onTake = ({ envelope, finish }) => {
      const code = envelope.payload as ErrorCode;
      const error = new MembraneError(code, `it is ${code}`);
      finish({ outcome: 'failed', error });
    };
    const takeAsFake = taker.take.bind(taker);
    const seen: ErrorCode[] = [];
    taker.take = (envelope, ...rest) => {
      const code = envelope.payload as ErrorCode;
      seen.push(code);
      if (refused.includes(code) && seen.length <= refused.length)
        return new MembraneError(code, `it is ${code}`);
      return takeAsFake(envelope, ...rest);
    };
    await post(api, ...refused, ...results);
    const collector = collect({ api, taker });
    await eventually('all were offered', () => seen.length === refused.length + results.length);
    await collector.stop();
    expect(seen).toEqual([...refused, ...results]);
    const outcomes = ackedOf(api.acked);
    expect(outcomes.slice(0, 4)).toEqual(Array<string>(4).fill('failed'));
    // Given back at the end, so that others need not wait for them.
    expect(outcomes.slice(4)).toEqual(Array<string>(3).fill('released'));
    const rest = await api.collectMessages({ id: 'oven', leaseToken: LEASE_TOKEN, max: 10 });
    expect(rest.map(({ envelope }) => envelope.payload)).toEqual([
      'no_handler',
      'client_closed',
      'client_closed',
    ]);
    const letters = await new MailboxDeadLetters(api, 'oven').list({ limit: 10 });
    expect(letters.map(({ code, reason }) => ({ code, reason }))).toEqual(
      ['wrong_receiver', 'out_of_order', 'expired', 'handler_failed'].map((code) => ({
        code,
        reason: `it is ${code}`,
      })),
    );
  });

  it('asks for no more than can be taken, and for nothing while nothing can', async () => {
    const { port, url } = await startRegistry();
    const direct = connect(url);
    await register(direct);
    await post(direct, 1, 2, 3, 4, 5);
    const proxy = await createProxy(port);
    const api = connect(proxy.url);
    const taker = new FakeTaker();
    taker.window = 0;
    taker.onTake = () => (taker.window = Math.max(0, taker.window - 1));
    const collector = collect({ api, taker });
    // Whatever it would do at once, it has done by then.
    await direct.status();
    await direct.status();
    expect(api.asked).toEqual([]);
    taker.window = 2;
    await eventually('two are there', () => taker.taken.length === 2);
    await direct.status();
    expect(taker.payloads).toEqual([1, 2]);
    expect(api.asked).toEqual([2]);
    taker.window = 3;
    await eventually('the rest is there', () => taker.taken.length === 5);
    expect(api.asked).toEqual([2, 3]);
    await collector.stop();
  });

  it('gives up waiting when nobody takes messages any more', async () => {
    const { url } = await startRegistry();
    const api = connect(url);
    await register(api);
    const taker = new FakeTaker();
    collect({ api, taker });
    await eventually('it asks', () => api.waiting() === 1);
    taker.window = 0;
    await eventually('it gave up', () => api.waiting() === 0);
    await post(api, 'while nobody is there');
    taker.window = 10;
    await eventually('it is there', () => taker.taken.length === 1);
  });

  it('goes on by itself where the registry was killed, and hands no message over twice', async () => {
    const data = await makeDirectory();
    const registry = await startRegistry({ data });
    const api = connect(registry.url);
    await register(api);
    const taker = new FakeTaker();
    const open: Taken[] = [];
    taker.onTake = (taken) => open.push(taken);
    const collector = collect({ api, taker });
    await post(api, 'slow', 'done while it is away');
    await eventually('both are being handled', () => open.length === 2);
    await registry.kill();
    open[1]!.finish({ outcome: 'processed' });
    await startRegistry({ data, port: registry.port });
    await post(api, 'new');
    await eventually('it collects again', () => taker.payloads.includes('new'));
    open[0]!.finish({ outcome: 'processed' });
    open[2]!.finish({ outcome: 'processed' });
    // Receipts of before the kill are void: each of the two is handed out again, and acknowledged with the new one.
    await eventually(
      'all is known to the registry',
      () => api.acked.flat().length - api.unknown.length === 3,
    );
    await collector.stop();
    expect(taker.payloads).toEqual(['slow', 'done while it is away', 'new']);
  });

  it('waits where its lease is lost, until it is told that there is one again', async () => {
    const { port } = await startRegistry();
    const proxy = await createProxy(port);
    const api = connect(proxy.url);
    const taker = new FakeTaker();
    const collector = collect({ api, taker });
    await eventually('it asked in vain', () => api.asked.length === 1 && api.waiting() === 0);
    await register(api);
    await post(api, 'hello');
    expect(api.asked).toHaveLength(1);
    collector.resume();
    await eventually('it is there', () => taker.taken.length === 1);
  });

  it('does not keep a process alive, and lets it collect as long as something else does', async () => {
    const { url } = await startRegistry();
    const api = connect(url);
    const owner = start(process.execPath, [OWNER, url]);
    await eventually('it is registered', () => api.discover('oven'));
    await post(api, 'hello');
    expect(await owner.ended).toBe(0);
    expect(owner.said).toEqual({ stdout: 'took hello\n', stderr: '' });
  });
});
