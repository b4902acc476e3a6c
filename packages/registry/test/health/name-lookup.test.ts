import type { LookupAddress } from 'node:dns';
import { NameLookup } from '../../src/health/name-lookup.js';

const ADDRESS: LookupAddress = { address: '10.0.0.1', family: 4 };

/** Name servers that answer when the test says so. */
class HeldNames {
  readonly asked: string[] = [];
  readonly #answers = new Map<string, (error?: Error) => void>();

  readonly resolve = (host: string): Promise<readonly LookupAddress[]> => {
    this.asked.push(host);
    return new Promise((resolve, reject) => {
      this.#answers.set(host, (error) => {
        if (error === undefined) resolve([ADDRESS]);
        else reject(error);
      });
    });
  };

  answer(host: string, error?: Error): void {
    this.#answers.get(host)?.(error);
  }
}

const never = new AbortController().signal;

describe('names', () => {
  it('are looked up two at a time, each in its turn', async () => {
    const held = new HeldNames();
    const names = new NameLookup(held.resolve);
    const found = ['a', 'b', 'c', 'd'].map((host) => names.find(host, never));
    await Promise.resolve();
    expect(held.asked).toEqual(['a', 'b']);
    held.answer('b');
    await expect(found[1]).resolves.toEqual([ADDRESS]);
    held.answer('c');
    await expect(found[2]).resolves.toEqual([ADDRESS]);
    expect(held.asked).toEqual(['a', 'b', 'c', 'd']);
    held.answer('a', new Error('ENOTFOUND'));
    await expect(found[0]).rejects.toThrow('ENOTFOUND');
    held.answer('d');
    await expect(found[3]).resolves.toEqual([ADDRESS]);
  });

  it('whose turn never came say nothing; those that hang keep their turn', async () => {
    const held = new HeldNames();
    const names = new NameLookup(held.resolve);
    const timeout = new AbortController();
    const hanging = ['a', 'b'].map((host) => names.find(host, timeout.signal));
    const waiting = names.find('c', timeout.signal);
    timeout.abort(new Error('too late'));
    await expect(waiting).resolves.toBeUndefined();
    for (const each of hanging) await expect(each).rejects.toThrow('too late');
    await expect(names.find('d', timeout.signal)).resolves.toBeUndefined();
    const next = names.find('e', never);
    await Promise.resolve();
    expect(held.asked).toEqual(['a', 'b']);
    held.answer('a', new Error('at last'));
    await new Promise(setImmediate);
    expect(held.asked).toEqual(['a', 'b', 'e']);
    held.answer('e');
    await expect(next).resolves.toEqual([ADDRESS]);
  });

  it('of this machine are known', async () => {
    const found = await new NameLookup().find('localhost', never);
    expect(found?.map(({ address }) => address)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^(127\.0\.0\.1|::1)$/)]),
    );
  });
});
