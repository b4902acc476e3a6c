import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import type { LookupAddress } from 'node:dns';
import { join } from 'node:path';
import { createAddressPolicy, isLoopbackHost } from '../../src/transports/address-policy.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

const check = async (address: string, allowLoopback = false): Promise<unknown> =>
  createAddressPolicy({ allowLoopback, socketDirectory: undefined }).findDial({ kind: 'network', address });

describe('network addresses', () => {
  it.each([
    'http://10.0.0.5:40123/m/default/oven/default',
    'https://oven.example/m/default/oven/default',
    'http://[2001:db8::1]:80/m',
    'http://[64:ff9b::a00:5]/m',
  ])('%s may be used', async (address) => {
    await expect(check(address)).resolves.toMatchObject({ url: new URL(address).href.replace(/\/$/, '') });
  });

  it.each([
    'file:///etc/passwd',
    'ftp://oven.example/',
    'ws://oven.example/',
    'no url',
    '/var/run/oven.sock',
    'http://user:secret@oven.example/m',
    'http://user@oven.example/m',
    'http://oven.example/m?x=1',
    'http://oven.example/m#x',
    'http://169.254.169.254/latest/meta-data',
    'http://0xa9fea9fe/latest',
    'http://2852039166/',
    'http://[::ffff:169.254.169.254]/',
    'http://[fe80::1]/',
    'http://[febf::1]/',
    'http://[fd00:ec2::254]/',
    'http://100.100.100.200/',
    'http://metadata.google.internal/computeMetadata',
    'http://METADATA.google.internal./x',
    'http://0.0.0.0:80/',
    'http://[::]/',
    'http://224.0.0.1/',
    'http://255.255.255.255/',
    'http://[ff02::1]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[64:ff9b:1::169.254.169.254]/',
    'http://[::169.254.169.254]/',
    'http://[::ffff:0:169.254.169.254]/',
    'http://[2002:a9fe:a9fe::1]/',
    'http://[64:ff9b::100.100.100.200]/',
  ])('%s may not be used', async (address) => {
    await expect((async () => check(address, true))()).rejects.toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('is not used') as string,
    });
  });

  it.each([
    'http://127.0.0.1:80/m',
    'http://localhost/m',
    'http://[::1]/m',
    'http://127.8.8.8/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::127.0.0.1]/',
    'http://[2002:7f00:1::]/',
  ])('%s may be used only where loopback means the same to both', async (address) => {
    await expect(check(address, true)).resolves.toBeDefined();
    await expect((async () => check(address))()).rejects.toMatchObject({ code: 'forbidden' });
  });

  it('knows loopback by all of its names', () => {
    for (const host of ['localhost', 'LOCALHOST.', 'a.localhost', '127.0.0.1', '[::1]', '::1']) {
      expect(isLoopbackHost(host)).toBe(true);
    }
    for (const host of ['localhost.example', '128.0.0.1', '::2']) expect(isLoopbackHost(host)).toBe(false);
  });
});

describe('names', () => {
  const lookup = async (
    addresses: LookupAddress[],
    all: boolean,
    error: Error | null = null,
  ): Promise<unknown[]> => {
    const policy = createAddressPolicy({
      allowLoopback: false,
      socketDirectory: undefined,
      resolve: ((_: string, __: object, callback: (...results: unknown[]) => void) => {
        callback(error, error === null ? addresses : undefined);
      }) as never,
    });
    const dial = await policy.findDial({ kind: 'network', address: 'http://oven.example/m' });
    return new Promise((resolve) => dial.lookup?.('oven.example', { all }, (...results) => resolve(results)));
  };
  const good = { address: '10.0.0.5', family: 4 };

  it('are resolved as the caller wants it', async () => {
    await expect(lookup([good], true)).resolves.toEqual([null, [good]]);
    await expect(lookup([good], false)).resolves.toEqual([null, '10.0.0.5', 4]);
    await expect(lookup([], true, new Error('ENOTFOUND'))).resolves.toMatchObject([
      { message: 'ENOTFOUND' },
      '',
    ]);
  });

  it.each([
    ['169.254.169.254', 4],
    ['127.0.0.1', 4],
    ['::1', 6],
    ['fe80::1', 6],
    ['::ffff:169.254.169.254', 6],
  ])('may not resolve to %s', async (address, family) => {
    const [error] = await lookup([good, { address, family }], true);
    expect(error).toMatchObject({
      code: 'forbidden',
      message: expect.stringContaining('oven.example') as string,
    });
  });
});

describe('sockets', () => {
  const find = async (path: string, socketDirectory: string | undefined): Promise<unknown> =>
    createAddressPolicy({ allowLoopback: false, socketDirectory }).findDial({ kind: 'ipc', address: path });

  const listen = async (path: string): Promise<() => void> => {
    const server = createServer().listen(path);
    await once(server, 'listening');
    return () => server.close();
  };

  it('are used in the own directory only, wherever links lead', async () => {
    const root = await makeDirectory();
    const [own, other] = [join(root, 'own'), join(root, 'other')];
    await mkdir(own);
    await mkdir(other);
    const stops = [await listen(join(own, 'a.sock')), await listen(join(other, 'b.sock'))];
    await symlink(join(other, 'b.sock'), join(own, 'link.sock'));
    await symlink(own, join(root, 'alias'));
    await writeFile(join(other, 'file'), '');
    const path = join(own, 'a.sock');
    await expect(find(path, own)).resolves.toMatchObject({ socketPath: path });
    await expect(find(join(root, 'alias', 'a.sock'), own)).resolves.toMatchObject({ socketPath: path });
    for (const wrong of [
      join(other, 'b.sock'),
      join(own, 'link.sock'),
      join(own, '..', 'other', 'b.sock'),
      join(other, 'missing.sock'),
      '/var/run/docker.sock',
      'relative.sock',
      '',
    ]) {
      await expect(find(wrong, own)).rejects.toMatchObject({ code: 'forbidden' });
    }
    await expect(find(path, undefined)).rejects.toMatchObject({ code: 'forbidden' });
    stops.forEach((stop) => stop());
  });

  it('that are gone are told as not reached', async () => {
    const own = await makeDirectory();
    await expect(find(join(own, 'gone.sock'), own)).rejects.toMatchObject({ code: 'not_delivered' });
  });
});
