import { join } from 'node:path';
import { SqliteKeyv } from '../../src/store/sqlite-keyv.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

const MIB = 1024 * 1024;

describe('a file of rows', () => {
  it('is read a few MiB at a time, however large its rows are', async () => {
    const keyv = new SqliteKeyv(join(await makeDirectory(), 'large.sqlite'));
    const large = Array.from({ length: 40 }, (_, index) => [`large/${index}`, 'x'.repeat(MIB)] as const);
    const small = Array.from({ length: 6_000 }, (_, index) => [`small/${index}`, 'x'] as const);
    const rows = [...small.slice(0, 100), ...large, ...small.slice(100)];
    await keyv.transact(
      rows.map(([key, value]) => [key, { value }] as const),
      [],
    );
    const found: (readonly [string, unknown])[] = [];
    for await (const page of keyv.pages()) {
      expect(JSON.stringify(page).length).toBeLessThan(10 * MIB);
      found.push(...page);
    }
    await keyv.close();
    expect(found).toEqual(rows.map(([key, value]) => [key, { value }]));
  });
});
