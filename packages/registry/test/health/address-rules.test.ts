import { AddressRules, isAddressRule } from '../../src/health/address-rules.js';

const faultOf = (rules: string[], address: string, isNameAllowed = false): string | undefined =>
  new AddressRules(rules).findFault(address, isNameAllowed);

/** Where nobody may be led, in every way to write it. */
const FORBIDDEN = [
  '169.254.169.254',
  '169.254.1.1',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '::169.254.169.254',
  '64:ff9b::169.254.169.254',
  '2002:a9fe:a9fe::1',
  '0.0.0.0',
  '0.1.2.3',
  '::',
  '224.0.0.1',
  '255.255.255.255',
  '::ffff:0.0.0.0',
  'ff02::1',
  'fe80::1',
  'febf::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  'fd20:ce::254',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
];

describe('the rules for addresses', () => {
  it.each([
    ['loopback', ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1', '64:ff9b::7f00:1']],
    [
      'private',
      ['10.0.0.5', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', 'fd12::1', 'fc00::1'],
    ],
    ['private', ['::ffff:10.0.0.5', '64:ff9b::a00:5', '2002:c0a8:101::1', '240.0.0.1', 'fec0::1']],
    [
      'public',
      ['8.8.8.8', '172.32.0.1', '100.128.0.1', '2001:4860::8888', '::ffff:8.8.8.8', '64:ff9b::808:808'],
    ],
  ])('%s means these and no others', (word, addresses) => {
    const others = ['loopback', 'private', 'public'].filter((other) => other !== word);
    for (const address of addresses) {
      expect([address, faultOf([word], address)]).toEqual([address, undefined]);
      expect(faultOf(others, address)).toBe(`${address} is a ${word} address, and those are not allowed`);
    }
  });

  it.each(FORBIDDEN)('%s is no place to lead anybody, whatever else is allowed', (address) => {
    const rules = ['loopback', 'private', 'public', '0.0.0.0/0', '::/0', 'oven.example'];
    expect(faultOf(rules, address)).toMatch(/is link-local, a metadata service, or no single machine$/);
    expect(faultOf(rules, address, true)).toBeDefined();
  });

  it('are lifted for such addresses by a rule for just these', () => {
    expect(faultOf(['169.254.10.0/24'], '169.254.10.7')).toBeUndefined();
    expect(faultOf(['169.254.10.0/24'], '::ffff:169.254.10.7')).toBeUndefined();
    expect(faultOf(['169.254.10.0/24'], '169.254.11.7')).toBeDefined();
    expect(faultOf(['169.254.0.0/15'], '169.254.10.7')).toBeDefined();
    expect(faultOf(['fe80::/10'], 'fe80::1')).toBeUndefined();
    expect(faultOf(['fe80::/9'], 'fe80::1')).toBeDefined();
  });

  it('allow networks and addresses', () => {
    const rules = ['10.1.0.0/16', '192.0.2.7', '2001:DB8::/32'];
    for (const address of ['10.1.2.3', '192.0.2.7', '2001:db8::1', '::ffff:10.1.2.3']) {
      expect([address, faultOf(rules, address)]).toEqual([address, undefined]);
    }
    for (const address of ['10.2.0.1', '192.0.2.8', '2001:db9::1', '127.0.0.1']) {
      expect(faultOf(rules, address)).toBeDefined();
    }
  });

  it('allow names, wherever they lead', () => {
    const rules = new AddressRules(['Oven.example', '*.kitchen.example']);
    expect(
      ['oven.example', 'OVEN.example.', 'a.kitchen.example', 'a.b.kitchen.example'].map((name) =>
        rules.allowsName(name),
      ),
    ).toEqual([true, true, true, true]);
    expect(
      ['a.oven.example', 'kitchen.example', 'badkitchen.example', 'oven'].map((name) =>
        rules.allowsName(name),
      ),
    ).toEqual([false, false, false, false]);
    expect(rules.findFault('10.0.0.1', true)).toBeUndefined();
    expect(rules.findFault('10.0.0.1', false)).toBeDefined();
  });
});

it.each([
  'loopback',
  '10.0.0.0/8',
  '10.0.0.1',
  '::1',
  'fd00::/8',
  'oven',
  'a-b.example.com',
  '*.example.com',
  'x_y.svc',
])('%s is a rule', (text) => {
  expect(isAddressRule(text)).toBe(true);
});

it.each([
  '',
  ' ',
  '10.0.0.0/33',
  '10.0.0',
  '10.0.0.0/',
  '::/129',
  '1.2.3.4.5',
  '0x7f.1',
  'http://oven',
  'oven:80',
  '*',
  'a..b',
  '*.*.b',
  '.b',
  'a b',
  '[::1]',
])('"%s" is none', (text) => {
  expect(isAddressRule(text)).toBe(false);
});
