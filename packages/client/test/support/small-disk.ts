import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A file system of 2 MB for the length of some work; without one, where this user may not mount it, a loud skip. */
export async function withSmallDisk(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory], { stdio: 'pipe' });
  } catch (error) {
    await rm(directory, { recursive: true });
    if (process.env['CI'] === 'true') throw error;
    process.stderr.write('\nSKIPPED: a full disk, since this user may not mount a small one\n');
    return;
  }
  try {
    await work(directory);
  } finally {
    // Lazily: a registry that still has files open is killed after the test.
    execFileSync('umount', ['--lazy', directory]);
    await rm(directory, { recursive: true });
  }
}
