import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonValue } from '@membrane/protocol';
import type { Message } from '../../src/messaging/message.js';
import type { NamespaceClient } from '../../src/namespace-client.js';
import type { NamespaceClientOptions } from '../../src/options.js';
import { useClients } from '../support/clients.js';
import { eventually } from '../support/eventually.js';
import { useProcesses } from '../support/processes.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const { start, startRegistry } = useProcesses();
const makeDirectory = useTemporaryDirectories();
const createClient = useClients();
const RETRIES_MANY = fileURLToPath(new URL('../fixtures/retries-many.mjs', import.meta.url));
const OUTBOX_SENDER = fileURLToPath(new URL('../fixtures/sends-once.mjs', import.meta.url));

/** A registry, and membranes of one host that share everything. */
async function begin() {
  const registry = await startRegistry();
  const directory = await makeDirectory();
  const common = {
    registryUrl: registry.url,
    sharedRoot: join(directory, 'shared'),
    socketDirectory: join(directory, 'sockets'),
  };
  const create = (id: string, options: NamespaceClientOptions = {}): NamespaceClient =>
    createClient(id, { ...common, ...options }).client;
  /** One that is registered, and notes what it handles. */
  const joinAs = async (id: string, options: NamespaceClientOptions & { relay?: boolean } = {}) => {
    const { relay, ...clientOptions } = options;
    const client = create(id, clientOptions);
    const handled: JsonValue[] = [];
    client.onMessage(({ payload }) => {
      handled.push(payload);
      return `${id} has it`;
    });
    await client.register({ relay });
    return { client, handled };
  };
  return { registry, directory, common, create, join: joinAs };
}

describe('a message', () => {
  it.each([
    [['ipc', 'network', 'shared-volume'], 'ipc', 'processed'],
    [['network', 'shared-volume'], 'network', 'processed'],
    [['shared-volume'], 'shared-volume', 'queued'],
  ] as const)('over %p goes by %s', async (modes, kind, outcome) => {
    const { create, join } = await begin();
    const { handled } = await join('oven', { modes });
    const delivery = await create('cook').sendMessage('oven', { degrees: 200 });
    expect(delivery).toMatchObject({ target: 'oven', outcome, route: { kind } });
    await eventually('it is handled', () => handled.length === 1);
    expect(handled).toEqual([{ degrees: 200 }]);
  });

  it('that is tried again beside many others prints nothing', async () => {
    const { common } = await begin();
    const { said, ended } = start(process.execPath, [RETRIES_MANY, JSON.stringify(common)]);
    await ended;
    expect(said).toEqual({ stdout: 'done 50\n', stderr: '' });
  });

  it('to a membrane that has left waits for it, and comes when it is back', async () => {
    const { create, join } = await begin();
    await (await join('oven')).client.close();
    const cook = create('cook');
    for (const payload of [1, 2, 3]) {
      const { outcome, route } = await cook.sendMessage('oven', payload, { stream: 'dough' });
      expect([outcome, route.kind]).toEqual(['queued', 'mailbox']);
    }
    const { handled } = await join('oven');
    await eventually('all are handled', () => handled.length === 3);
    expect(handled).toEqual([1, 2, 3]);
  });

  it('to nobody is refused at once', async () => {
    const { create } = await begin();
    await expect(create('cook').sendMessage('oven', 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('to nobody is refused at once by those whose answer could not come back too', async () => {
    const { create, join } = await begin();
    const asked = create('cook').request('oven', 1, { timeoutMs: 60_000 });
    await expect(asked).rejects.toMatchObject({ code: 'not_found' });
    const sent = create('cook').sendMessage('oven', 1, { waitFor: 'processed', timeoutMs: 60_000 });
    await expect(sent).rejects.toMatchObject({ code: 'not_found' });
    // Who was there is waited for.
    await (await join('oven')).client.close();
    const waiting = create('cook').request('oven', 1, { timeoutMs: 60_000 });
    const { client } = await join('oven');
    expect(await waiting).toBe('oven has it');
    expect(await client.deadLetters()).toEqual([]);
  });

  it('finds its receiver at its new address, and is never given to another', async () => {
    const { create, join } = await begin();
    const modes = ['network'] as const;
    const first = await join('oven', { modes });
    const cook = create('cook', { cache: { ttlMs: 60_000 }, modes });
    await cook.sendMessage('oven', 1);
    await first.client.close();
    const second = await join('oven', { modes });
    const { outcome } = await cook
      .sendMessage('oven', 2, { waitFor: 'processed', timeoutMs: 20_000 })
      .catch(() => ({
        outcome: 'kept',
      }));
    await eventually('the new one has it', () => second.handled.length === 1);
    expect([first.handled, second.handled]).toEqual([[1], [2]]);
    expect(['processed', 'kept']).toContain(outcome);
  });

  it('to a name that a newer process has taken goes to that one', async () => {
    const { join, create } = await begin();
    const older = await join('oven', { leaseToken: 'the-older-process' });
    const cook = create('cook', { cache: { ttlMs: 60_000 } });
    await cook.sendMessage('oven', 'first');
    const newer = await join('oven', { leaseToken: 'the-newer-process' });
    await eventually('the older one knows', async () => (await older.client.status()).state === 'superseded');
    await cook.sendMessage('oven', 'second');
    await eventually('it is handled', () => newer.handled.length === 1);
    expect([older.handled, newer.handled]).toEqual([['first'], ['second']]);
  });

  it('is sent on while the registry is away, where the receiver is known', async () => {
    const { registry, create, join } = await begin();
    const { handled } = await join('oven');
    const cook = create('cook', { cache: { ttlMs: 1 } });
    await cook.sendMessage('oven', 1);
    await registry.kill();
    expect((await cook.sendMessage('oven', 2)).outcome).toBe('processed');
    expect(handled).toEqual([1, 2]);
  });

  it('ends by its signal, and by the end of its client', async () => {
    const { create, join } = await begin();
    const { client: oven } = await join('mute', { modes: ['ipc'] });
    oven.onMessage(() => new Promise(() => undefined), { type: 'slow' });
    const cook = create('cook');
    const abort = new AbortController();
    const sent = cook.sendMessage('mute', 1, { type: 'slow', signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(sent).rejects.toThrow('enough');
    const other = cook.sendMessage('mute', 1, { type: 'slow' });
    await Promise.all([expect(other).rejects.toMatchObject({ code: 'client_closed' }), cook.close()]);
  });

  it('is given up in time where the registry takes connections and is silent', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    try {
      const registryUrl = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
      const { client: cook } = createClient('cook', { registryUrl, timeoutMs: 60_000 });
      const options = { timeoutMs: 200 };
      const late = { code: 'not_delivered', message: expect.stringContaining('did not answer') as string };
      await Promise.all([
        expect(cook.sendMessage('oven', 1, options)).rejects.toMatchObject(late),
        expect(cook.request('@out', 1, options)).rejects.toMatchObject(late),
        expect(cook.broadcast('@subtree:oven', 1, options)).rejects.toMatchObject(late),
        expect(cook.sendMessage('oven', 1, { signal: AbortSignal.timeout(200) })).rejects.toMatchObject({
          name: 'TimeoutError',
        }),
      ]);
      await cook.close();
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });

  it.each([
    ['undefined', undefined, 'payload must be JSON; got undefined'],
    ['a function', () => 1, 'payload must be JSON; got function'],
    ['what is its own part', makeCircle(), 'JSON'],
  ])('of %s is refused in words', async (_, payload, words) => {
    const { create, join } = await begin();
    await join('oven', { modes: ['ipc'] });
    const sent = create('cook').sendMessage('oven', payload as never);
    await expect(sent).rejects.toMatchObject({ code: 'invalid_request' });
    await expect(create('cook').sendMessage('oven', payload as never)).rejects.toThrow(words);
  });

  it.each(['ipc', 'network', 'shared-volume'] as const)(
    'that is too large is refused, by %s',
    async (mode) => {
      const { create, join } = await begin();
      await join('oven', { modes: [mode] });
      await expect(create('cook').sendMessage('oven', 'x'.repeat(2 ** 20))).rejects.toMatchObject({
        code: 'payload_too_large',
      });
    },
  );
});

function makeCircle(): unknown {
  const circle: { own?: unknown } = {};
  circle.own = circle;
  return circle;
}

describe('the wait for a message', () => {
  it.each(['shared-volume', 'mailbox'] as const)(
    'that lies in %s goes on until it is handled, where that is asked for',
    async (place) => {
      const { create, join } = await begin();
      const modes = place === 'mailbox' ? (['ipc'] as const) : (['shared-volume'] as const);
      const { client: cook } = await join('cook');
      await (await join('oven', { modes })).client.close();
      const oven = create('oven', { modes });
      if (place === 'shared-volume') await oven.register();
      const sent = cook.sendMessage('oven', 1, { waitFor: 'processed', timeoutMs: 20_000 });
      const first = await Promise.race([sent, new Promise((resolve) => setTimeout(resolve, 300))]);
      expect(first).toBeUndefined();
      oven.onMessage(() => undefined);
      if (place === 'mailbox') await oven.register();
      expect(await sent).toMatchObject({ outcome: 'processed', route: { kind: place } });
    },
  );

  it('ends early where less is asked for', async () => {
    const { create, join } = await begin();
    const { client: oven } = await join('oven', { modes: ['ipc'] });
    let finish = (): void => undefined;
    oven.onMessage(() => new Promise<void>((resolve) => (finish = resolve)), { type: 'slow' });
    const cook = create('cook');
    const { outcome } = await cook.sendMessage('oven', 1, { type: 'slow', waitFor: 'accepted' });
    expect(outcome).toBe('accepted');
    finish();
  });
});

describe('a request', () => {
  it('resolves with what the handler returned, or rejects with what it threw', async () => {
    const { create, join } = await begin();
    const { client: oven } = await join('oven');
    oven.onMessage(
      () => {
        throw new Error('too hot');
      },
      { type: 'broken' },
    );
    const cook = create('cook');
    expect(await cook.request('oven', 1)).toBe('oven has it');
    await expect(cook.request('oven', 1, { type: 'broken' })).rejects.toMatchObject({
      code: 'handler_failed',
      message: 'too hot',
    });
  });

  it('is answered by a message where it only waited, also if that fails', async () => {
    const { create, join } = await begin();
    const { client: cook } = await join('cook');
    await (await join('oven')).client.close();
    const [one, other] = [cook.request('oven', 1), cook.request('oven', 2, { type: 'broken' })];
    const failed = expect(other).rejects.toMatchObject({ code: 'handler_failed', message: 'too hot' });
    const oven = create('oven');
    oven.onMessage(({ type, payload }: Message) => {
      if (type === 'broken') throw new Error('too hot');
      return payload;
    });
    await oven.register();
    expect(await one).toBe(1);
    await failed;
  });

  it('is answered later by `reply`', async () => {
    const { join } = await begin();
    const { client: cook, handled } = await join('cook');
    const { client: oven } = await join('oven');
    const got: Message[] = [];
    oven.onMessage((message) => void got.push(message), { type: 'later' });
    await cook.sendMessage('oven', 'when?', { type: 'later' });
    const [message] = got;
    if (message === undefined) throw new Error('nothing came');
    await oven.reply(message, 'now', { type: 'answer' });
    await oven.reply(message, 'at once');
    expect(handled).toEqual(['now', 'at once']);
  });

  it('is answered by `reply` while it is handled, for one who waits', async () => {
    const { create, join } = await begin();
    const { client: cook, handled } = await join('cook');
    const oven = create('oven', { modes: ['shared-volume'] });
    oven.onMessage(async (message) => {
      await oven.reply(message, 'by hand', { type: 'answer' });
    });
    await oven.register();
    expect(await cook.request('oven', 'when?')).toBe('by hand');
    expect(handled).toEqual([]);
  });
});

describe('a client that follows the registry', () => {
  it('finds who has come by what it was told, also when no registry answers', async () => {
    const { create, join, registry } = await begin();
    const cook = create('cook', { cache: 'watch' });
    await cook.replicaReady();
    const { handled } = await join('oven');
    await eventually('it is told', () => cook.peek('oven') !== undefined);
    await registry.kill();
    expect(await cook.sendMessage('oven', 'hello')).toMatchObject({
      outcome: 'processed',
      route: { kind: 'ipc' },
    });
    expect(handled).toEqual(['hello']);
  });
});

describe('many members', () => {
  it('get a broadcast, each with its report', async () => {
    const { join, create } = await begin();
    const kitchen = await join('kitchen');
    const oven = await join('oven', { parent: 'kitchen' });
    const lamp = await join('lamp', { parent: 'oven' });
    await create('gone', { parent: 'kitchen', receive: false }).register({ endpoint: 'http://127.0.0.1:1' });
    const toChildren = await kitchen.client.broadcast('@in*', 'children');
    expect(toChildren.members.map(({ id, result }) => [id, result]).sort()).toEqual([
      ['gone', 'queued'],
      ['oven', 'delivered'],
    ]);
    const toAll = await create('cook').broadcast('@subtree:kitchen', 'all');
    expect(toAll.members.map(({ id }) => id).sort()).toEqual(['gone', 'lamp', 'oven']);
    expect((await oven.client.broadcast('@siblings', 'sister')).members.map(({ id }) => id)).toEqual([
      'gone',
    ]);
    expect((await lamp.client.sendMessage('@out', 'up')).target).toBe('oven');
    expect((await oven.client.sendMessage('@in:lamp', 'down')).target).toBe('lamp');
    await expect(oven.client.sendMessage('@in:kitchen', 'x')).rejects.toMatchObject({ code: 'not_found' });
    await expect(kitchen.client.sendMessage('@out', 'x')).rejects.toThrow('"kitchen" has no parent');
    expect(oven.handled).toEqual(['children', 'all', 'up']);
    expect(lamp.handled).toEqual(['all', 'down']);
  });

  it('of one id take turns, or get it all', async () => {
    const { join, create } = await begin();
    const left = await join('oven', { instanceId: 'left', leaseToken: 'of-the-left-instance' });
    const right = await join('oven', { instanceId: 'right', leaseToken: 'of-the-right-instance' });
    const cook = create('cook', { balancer: { strategy: 'round-robin' } });
    for (const target of ['oven', 'oven', '@any:oven', '@any:oven']) await cook.sendMessage(target, 'turn');
    for (const target of ['oven', '@any:oven']) await cook.request(target, 'turn');
    expect([left.handled.length, right.handled.length]).toEqual([3, 3]);
    const { members } = await cook.broadcast('@all:oven', 'both');
    expect(members.map(({ instanceId, result }) => [instanceId, result]).sort()).toEqual([
      ['left', 'delivered'],
      ['right', 'delivered'],
    ]);
    expect([left.handled.at(-1), right.handled.at(-1)]).toEqual(['both', 'both']);
  });

  it('of one id each get the replies to what they ask', async () => {
    const { join } = await begin();
    // No answer comes back by a directory: they come as messages.
    await join('oven', { modes: ['shared-volume'] });
    const left = await join('cook', { instanceId: 'left', leaseToken: 'of-the-left-instance' });
    const right = await join('cook', { instanceId: 'right', leaseToken: 'of-the-right-instance' });
    const asked = [left, right, left, right, left, right].map(({ client }) => client.request('oven', 'hot?'));
    expect(await Promise.all(asked)).toEqual(Array(6).fill('oven has it'));
  });
});

describe('a relay', () => {
  const island = (directory: string, name: string): NamespaceClientOptions => ({
    socketDirectory: join(directory, `sockets-${name}`),
    sharedRoot: join(directory, `shared-${name}`),
    networkRealm: name,
  });

  it('passes messages on between its children, who share nothing else', async () => {
    const { directory, join, create } = await begin();
    await join('kitchen', { relay: true, networkRealm: 'common' });
    const { handled } = await join('oven', {
      ...island(directory, 'a'),
      networkRealm: 'common',
      parent: 'kitchen',
    });
    const lamp = create('lamp', { ...island(directory, 'b'), modes: ['ipc'], parent: 'kitchen' });
    // It shares the sockets of the kitchen alone.
    const cook = create('cook', { parent: 'kitchen', modes: ['ipc'] });
    await cook.register();
    await lamp.register();
    const delivery = await cook.sendMessage('oven', 'by way of the kitchen');
    expect(delivery).toMatchObject({ outcome: 'processed', route: { kind: 'relay', address: 'kitchen' } });
    expect(handled).toEqual(['by way of the kitchen']);
    expect(await cook.request('oven', 'an answer')).toBe('oven has it');
    // Nobody shares anything with the lamp: the relay leaves it to the registry.
    expect(await cook.sendMessage('lamp', 1)).toMatchObject({ outcome: 'queued', route: { kind: 'relay' } });
  });
});

describe('an address that a registry tells', () => {
  it.each([
    ['network', 'file:///etc/passwd'],
    ['network', 'http://169.254.169.254/latest'],
    ['ipc', '/var/run/docker.sock'],
    ['shared-volume', '/etc'],
  ] as const)('by %s, %s, is not used', async (mode, address) => {
    const { registry, create } = await begin();
    const realm = mode === 'network' ? 'default' : undefined;
    const response = await fetch(`${registry.url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        id: 'trap',
        endpoint: address,
        communication_mode: mode,
        endpoints: [{ mode, address, realm }],
      }),
    });
    expect(response.status).toBe(200);
    const { route, attempts } = await create('cook').sendMessage('trap', 'x');
    expect(route.kind).toBe('mailbox');
    expect(attempts.slice(0, -1)).toMatchObject([{ route: mode, address, result: 'forbidden' }]);
  });
});

describe('an outbox', () => {
  it('sends after a restart what its process could not, once', async () => {
    const { common, directory, join: joinAs, create } = await begin();
    const oven = await joinAs('oven', { modes: ['ipc'] });
    await oven.client.close();
    const outbox = join(directory, 'outbox');
    const options = JSON.stringify({ ...common, registryUrl: 'http://127.0.0.1:9', outbox });
    const sender = start(process.execPath, [OUTBOX_SENDER, options]);
    await eventually('it is kept', () => sender.said.stdout.includes('kept'));
    sender.child.kill('SIGKILL');
    await sender.ended;
    const back = await joinAs('oven', { modes: ['ipc'] });
    const cook = create('cook', { outbox });
    await cook.register();
    await eventually('it is handled', () => back.handled.length > 0);
    await cook.sendMessage('oven', 'another');
    expect(back.handled).toEqual(['from the run before', 'another']);
  });

  it('lets those of a stream come first that an earlier run left in the mailbox', async () => {
    const { directory, join: joinAs, create } = await begin();
    await (await joinAs('oven', { modes: ['ipc'] })).client.close();
    const outbox = join(directory, 'outbox');
    const before = create('cook', { outbox });
    for (const payload of [1, 2]) {
      const { route } = await before.sendMessage('oven', payload, { stream: 'dough', timeoutMs: 60_000 });
      expect(route.kind).toBe('mailbox');
    }
    await before.close();
    const { client, handled } = await joinAs('oven', { modes: ['ipc'] });
    const sent = create('cook', { outbox }).sendMessage('oven', 3, { stream: 'dough', timeoutMs: 60_000 });
    expect((await sent).outcome).toBe('processed');
    await eventually('all are handled', () => handled.length === 3);
    expect(handled).toEqual([1, 2, 3]);
    expect(await client.deadLetters()).toEqual([]);
  });
});
