import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Directories that go when the test is over. */
export function useTemporaryDirectories(): () => Promise<string> {
  const made: string[] = [];
  afterEach(async () => {
    // What is closed by hooks that run beside this one may write a last time.
    const options = { recursive: true, force: true, maxRetries: 10 };
    await Promise.all(made.splice(0).map((directory) => rm(directory, options)));
  });
  return async () => {
    const directory = await mkdtemp(join(tmpdir(), 'membrane-test-'));
    made.push(directory);
    return directory;
  };
}
