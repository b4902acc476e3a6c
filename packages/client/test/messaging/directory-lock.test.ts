import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DirectoryLock } from '../../src/messaging/directory-lock.js';
import { eventually } from '../support/eventually.js';
import { FakeClock } from '../support/fake-clock.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const ELSEWHERE = JSON.stringify({ pid: 1, host: 'another-host', boot: 'another-boot' });

const makeDirectory = useTemporaryDirectories();

function acquire(directory: string, { silenceMs = 300, clock = new FakeClock(), onLost = () => {} } = {}) {
  return DirectoryLock.acquire({ directory, what: 'the thing', onLost, silenceMs, clock });
}

describe('a directory lock', () => {
  it('of a holder that cannot be seen from here is taken over when that shows no sign of life', async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, '7.json'), ELSEWHERE);
    const lock = await acquire(directory);
    expect(await readdir(directory)).toEqual(['8.json']);
    await lock.release();
  });

  it('is refused while such a holder shows that it lives', async () => {
    const directory = await makeDirectory();
    const path = join(directory, '7.json');
    await writeFile(path, ELSEWHERE);
    const attempt = acquire(directory, { silenceMs: 60_000 }).then(
      () => 'taken',
      (error: unknown) => error,
    );
    let outcome: unknown;
    void attempt.then((value) => (outcome = value));
    await eventually('it is refused', async () => {
      const now = new Date();
      await utimes(path, now, now);
      return outcome;
    });
    expect(outcome).toMatchObject({
      code: 'conflict',
      message: 'the thing is in use by process 1 on another-host',
    });
    expect(await readdir(directory)).toEqual(['7.json']);
  });

  it('that nobody finished writing is taken over too', async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, '1.json'), '{"pid":');
    await (await acquire(directory)).release();
  });

  it('is free at once when it was released, or its holder is dead', async () => {
    const directory = await makeDirectory();
    await (await acquire(directory)).release();
    const second = await acquire(directory, { silenceMs: 600_000 });
    await expect(acquire(directory)).rejects.toMatchObject({ code: 'conflict' });
    await second.release();
    await second.release();
    await (await acquire(directory, { silenceMs: 600_000 })).release();
  });

  it('tells who has lost it', async () => {
    const directory = await makeDirectory();
    const clock = new FakeClock();
    let losses = 0;
    const lock = await acquire(directory, { clock, onLost: () => (losses += 1) });
    clock.advance(2_000);
    await eventually('it has shown that it lives', () => clock.pending === 1);
    expect(lock.isHeld).toBe(true);
    await writeFile(join(directory, '2.json'), ELSEWHERE);
    clock.advance(2_000);
    await eventually('it is told', () => losses === 1);
    expect(lock.isHeld).toBe(false);
    await lock.release();
    expect(await readdir(directory)).toEqual(['1.json', '2.json']);
    expect(clock.pending).toBe(0);
  });

  it('ends an attempt by its signal', async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, '1.json'), ELSEWHERE);
    const ending = new AbortController();
    const { signal } = ending;
    const attempt = DirectoryLock.acquire({ directory, what: 'it', onLost: () => {}, signal });
    const reason = new Error('enough');
    ending.abort(reason);
    await expect(attempt).rejects.toBe(reason);
  });
});
