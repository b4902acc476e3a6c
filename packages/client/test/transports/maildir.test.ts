import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MembraneError } from '@membrane/protocol';
import { DeadLetterDirectory } from '../../src/transports/dead-letter-directory.js';
import { Maildir, TEMPORARY_AGE_MS } from '../../src/transports/maildir.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

async function makeMaildir(): Promise<Maildir> {
  const maildir = new Maildir(await makeDirectory());
  await maildir.make();
  return maildir;
}

describe('what does not belong into a maildir', () => {
  it('keeps nothing in tmp/ from being swept', async () => {
    const { temporary, ...rest } = await makeMaildir();
    const old = new Date(Date.now() - TEMPORARY_AGE_MS - 60_000);
    await mkdir(join(temporary, 'a-directory', 'below'), { recursive: true });
    for (const name of ['0-left', 'b-left']) await writeFile(join(temporary, name), '');
    for (const name of await readdir(temporary)) await utimes(join(temporary, name), old, old);
    await new Maildir(rest.directory).sweepTemporary();
    // Nobody who writes messages made it.
    expect(await readdir(temporary)).toEqual(['a-directory']);
  });

  it('keeps no dead letters beyond their number', async () => {
    const maildir = await makeMaildir();
    await mkdir(join(maildir.dead, '0-directory', 'below'), { recursive: true });
    for (const name of ['1.json', '1.json.cause', '2.json', '3.json'])
      await writeFile(join(maildir.dead, name), '{}');
    await maildir.trimDead(1);
    expect(await readdir(maildir.dead)).toEqual(['3.json']);
  });

  it('is a dead letter as any other, whatever its name', async () => {
    const maildir = await makeMaildir();
    await writeFile(join(maildir.waiting, 'g.cause'), 'no message');
    const claimed = maildir.claim('g.cause', '0123456789abcdef')!;
    await maildir.bury(claimed, new MembraneError('invalid_request', 'it is no message'));
    const letters = await new DeadLetterDirectory(maildir.directory).list({ limit: 10 });
    expect(letters).toMatchObject([{ code: 'invalid_request', reason: 'it is no message' }]);
    await maildir.trimDead(0);
    expect(await readdir(maildir.dead)).toEqual([]);
  });
});
