import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS, MembraneError } from '@membrane/protocol';
import type { Clock } from '../clock.js';
import { isMissing } from '../messaging/durable-files.js';
import { livenessOf, ownIdentity, toProcessIdentity } from '../messaging/process-identity.js';
import type { Maildir } from './maildir.js';
import { afterLoss, parseClaimedName, parseWaitingName } from './maildir-name.js';

/**
 * How long a consumer that cannot be seen from here (another container, another host) may be silent before its claims
 * are taken from it. As long as the mailbox hides a message that it handed out.
 */
export const CLAIM_LEASE_MS = 30_000;

const LEASE_NAME = /^\.([0-9a-f]{16})$/;

/**
 * The right of one consumer to its claims: a file `cur/.ID` that tells which process it is, and is touched as long as it
 * lives. One file for all its claims, however many.
 */
export class ClaimLease {
  readonly claimant = randomBytes(8).toString('hex');
  readonly #path: string;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  #renewedAtMs = Number.NEGATIVE_INFINITY;

  constructor(maildir: Maildir, clock: Clock, leaseMs = CLAIM_LEASE_MS) {
    this.#path = join(maildir.claimed, `.${this.claimant}`);
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /** True where others may soon take it for dead: it must be renewed before the next claim. */
  get isStale(): boolean {
    return this.#clock.monotonicMs() - this.#renewedAtMs > this.#leaseMs / 2;
  }

  /** Makes the file where it is missing: nobody claims anything before it is there. */
  async renew(): Promise<void> {
    const atMs = this.#clock.monotonicMs();
    const now = new Date();
    try {
      await utimes(this.#path, now, now);
    } catch (error) {
      if (!isMissing(error)) throw error;
      await writeFile(this.#path, JSON.stringify(ownIdentity()));
    }
    this.#renewedAtMs = atMs;
  }

  /** When nothing is claimed any more. */
  async end(): Promise<void> {
    this.#renewedAtMs = Number.NEGATIVE_INFINITY;
    await rm(this.#path, { force: true });
  }
}

/**
 * Finds what dead consumers had claimed, and puts it back into its place in `new/`, or among the dead letters
 * where too many did not survive it. A process of this host that lives
 * keeps its claims, be it stopped for ever so long. Others are judged by the file they touch, and by the own clock: those
 * of two hosts need not agree.
 */
export class ClaimRecovery {
  readonly #maildir: Maildir;
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #touched = new Map<string, { atMs: number; seenAtMs: number }>();

  constructor(maildir: Maildir, clock: Clock, leaseMs = CLAIM_LEASE_MS) {
    this.#maildir = maildir;
    this.#clock = clock;
    this.#leaseMs = leaseMs;
  }

  /**
   * @param own its claims are passed over
   * @returns how many wait again
   */
  async recover(own: string): Promise<number> {
    const claims = new Map<string, { file: string; name: string }[]>();
    for (const file of await readdir(this.#maildir.claimed)) {
      const claim = parseClaimedName(file);
      const claimant = claim?.claimant ?? LEASE_NAME.exec(file)?.[1] ?? '';
      // What other programs keep in hidden files is theirs.
      if (claimant === own || (claimant === '' && file.startsWith('.'))) continue;
      const files = claims.get(claimant) ?? [];
      if (claim !== undefined) files.push({ file, name: claim.name });
      else if (claimant === '') files.push({ file, name: file });
      claims.set(claimant, files);
    }
    for (const claimant of this.#touched.keys()) if (!claims.has(claimant)) this.#touched.delete(claimant);
    let recovered = 0;
    for (const [claimant, files] of claims) {
      if (claimant !== '' && !(await this.#isDead(claimant))) continue;
      for (const each of files) if (await this.#release(each)) recovered += 1;
      if (claimant !== '') await rm(this.#leasePath(claimant), { force: true });
    }
    return recovered;
  }

  async #release({ file, name }: { file: string; name: string }): Promise<boolean> {
    const path = join(this.#maildir.claimed, file);
    const after = afterLoss(name);
    if (parseWaitingName(after).losses >= LIMITS.maxLostConsumers) {
      const why = `${LIMITS.maxLostConsumers} consumers were lost while they had it`;
      await this.#maildir.bury({ name, path }, new MembraneError('handler_failed', why));
      return false;
    }
    try {
      await rename(path, join(this.#maildir.waiting, after));
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async #isDead(claimant: string): Promise<boolean> {
    const lease = await this.#look(claimant);
    if (lease === undefined) return true;
    const identity = parseIdentity(lease.content);
    const liveness = identity === undefined ? 'unknown' : livenessOf(identity);
    if (liveness !== 'unknown') return liveness === 'dead';
    const nowMs = this.#clock.monotonicMs();
    const known = this.#touched.get(claimant);
    if (known?.atMs === lease.touchedAtMs) return nowMs - known.seenAtMs > this.#leaseMs;
    this.#touched.set(claimant, { atMs: lease.touchedAtMs, seenAtMs: nowMs });
    return false;
  }

  /** Opened, not only looked at: a network file system asks its server then. Undefined where there is none. */
  async #look(claimant: string): Promise<{ content: string; touchedAtMs: number } | undefined> {
    try {
      const file = await open(this.#leasePath(claimant), 'r');
      try {
        return { content: await file.readFile('utf8'), touchedAtMs: (await file.stat()).mtimeMs };
      } finally {
        await file.close();
      }
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  #leasePath(claimant: string): string {
    return join(this.#maildir.claimed, `.${claimant}`);
  }
}

/** Undefined for one that is not written yet. */
function parseIdentity(content: string) {
  try {
    return toProcessIdentity(JSON.parse(content));
  } catch {
    return undefined;
  }
}
