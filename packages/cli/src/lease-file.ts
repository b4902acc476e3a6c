import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { NamespaceClient } from '@membrane/client';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';

/**
 * The token of a one-shot registration, in the user's state directory: a later command of the same user shows it.
 * https://specifications.freedesktop.org/basedir-spec/latest/
 */
export class LeaseFile {
  readonly #path: string;
  /** Another registry knows another registration by the same name. */
  readonly #name: Readonly<Record<'registry' | 'namespace' | 'id' | 'instanceId', string>>;

  constructor({ options }: Pick<NamespaceClient, 'options'>) {
    const { registryUrls, namespace, id, instanceId } = options;
    this.#name = { registry: withoutCredentials(registryUrls[0] ?? ''), namespace, id, instanceId };
    // Not every file system tells upper from lower case, or takes a colon.
    const hash = createHash('sha256').update(JSON.stringify(this.#name)).digest('hex').slice(0, 32);
    this.#path = join(findStateDirectory(), 'membrane', 'leases', `${hash}.json`);
  }

  /** The token; undefined where this user keeps none. */
  async read(): Promise<string | undefined> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
      throw this.#failure('cannot be read', cause);
    }
    try {
      const { leaseToken } = JSON.parse(text) as { leaseToken?: unknown };
      if (typeof leaseToken === 'string') return leaseToken;
    } catch (cause) {
      throw this.#failure('is damaged: remove it, and register again by --replace', cause);
    }
    throw this.#failure('holds no leaseToken: remove it, and register again by --replace');
  }

  async write(leaseToken: string): Promise<void> {
    const temporary = `${this.#path}.${process.pid}`;
    try {
      await mkdir(join(this.#path, '..'), { recursive: true, mode: 0o700 });
      await writeFile(temporary, `${JSON.stringify({ ...this.#name, leaseToken })}\n`, { mode: 0o600 });
      await rename(temporary, this.#path);
    } catch (cause) {
      throw this.#failure('cannot be written', cause);
    }
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  #failure(what: string, cause?: unknown): CommandError {
    const reason = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    return new CommandError(`the lease file ${this.#path} ${what}${reason}`, EXIT_CODES.failed, { cause });
  }
}

function findStateDirectory(): string {
  try {
    return process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
  } catch (cause) {
    throw new CommandError(
      'there is no place for the lease: this user has no home directory; name one by XDG_STATE_HOME',
      EXIT_CODES.failed,
      { cause },
    );
  }
}

/** Whoever asks, it is the same registry; and a password is kept by nobody who was not told to. */
function withoutCredentials(registryUrl: string): string {
  const url = new URL(registryUrl);
  url.username = '';
  url.password = '';
  return url.href.replace(/\/+$/, '');
}
