import { AddressList, FORBIDDEN_RANGES, LOOPBACK_RANGES, parseAddressRange } from '../src/index.js';

describe('a list of addresses', () => {
  it('has the addresses of its networks, also by way of IPv6', () => {
    const list = new AddressList(['10.1.0.0/16', '192.0.2.7', '2001:db8::/32']);
    for (const address of [
      '10.1.255.255',
      '192.0.2.7',
      '2001:DB8::1',
      '2001:db8::1%eth0',
      '::ffff:10.1.0.1',
      '::ffff:a01:1',
      '::10.1.0.1',
      '64:ff9b::10.1.0.1',
      '2002:a01:1::',
    ]) {
      expect([address, list.has(address)]).toEqual([address, true]);
    }
    for (const address of [
      '10.2.0.0',
      '192.0.2.8',
      '2001:db9::',
      '::ffff:10.2.0.1',
      'oven',
      '',
      '10.1',
      '[::1]',
    ]) {
      expect([address, list.has(address)]).toEqual([address, false]);
    }
  });

  it('takes what is a network or an address, and nothing else', () => {
    expect(parseAddressRange('10.0.0.0/8')).toEqual({ address: '10.0.0.0', prefix: 8, family: 'ipv4' });
    expect(parseAddressRange('::1')).toEqual({ address: '::1', prefix: 128, family: 'ipv6' });
    for (const text of [
      '10.0.0.0/33',
      '::/129',
      '10.0.0',
      'oven',
      '',
      '10.0.0.0/',
      '/8',
      '10.0.0.0/8/8',
      '::1%lo',
    ]) {
      expect(parseAddressRange(text)).toBeUndefined();
    }
    expect(() => new AddressList(['oven'])).toThrow('"oven" is no network and no address');
  });

  it('of where nobody is to be led has no loopback in it', () => {
    const forbidden = new AddressList(FORBIDDEN_RANGES);
    const loopback = new AddressList(LOOPBACK_RANGES);
    for (const address of ['127.0.0.1', '::1', '127.255.255.255', '::ffff:127.0.0.1']) {
      expect([loopback.has(address), forbidden.has(address)]).toEqual([true, false]);
    }
    for (const address of [
      '169.254.169.254',
      '::',
      '0.0.0.0',
      'fe80::1',
      'fd00:ec2::254',
      '::ffff:a9fe:a9fe',
    ]) {
      expect([loopback.has(address), forbidden.has(address)]).toEqual([false, true]);
    }
  });
});
