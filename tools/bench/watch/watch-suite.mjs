import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureIdleReads } from './idle-reads.mjs';
import { measureReplica } from '../client/replica-lookups.mjs';
import { measureFanOut } from './watch-fan-out.mjs';

/**
 * What it takes to tell a thousand watchers of changes, and what it costs those who are told.
 * @param {{ short: boolean; onProgress: (line: string) => void }} options
 * @returns {Promise<import('../report/report.mjs').Figure[]>}
 */
export async function watchSuite(options) {
  const directory = await mkdtemp(join(tmpdir(), 'membrane-bench-'));
  try {
    return [
      ...(await measureFanOut({ directory, ...options })),
      ...(await measureReplica({ directory, ...options })),
      ...(await measureIdleReads(options)),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
