import type { CommunicationMode } from '@membrane/protocol';
import { locateSharedRoot } from '../endpoint.js';
import type { ClientOptions } from '../options.js';
import { socketRealm, volumeRealm } from '../transports/realm.js';
import { defaultSocketDirectory } from '../transports/socket-path.js';
import type { OwnRealms } from './route-planner.js';

/** What this client shares with others: looked up when it is first needed, and again where that failed. */
export class Realms {
  readonly socketDirectory: string;
  readonly #options: ClientOptions;
  #sockets: Promise<string> | undefined;
  #volume: Promise<string> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.socketDirectory = options.socketDirectory ?? defaultSocketDirectory();
  }

  async sharedRoot(): Promise<string> {
    return (await locateSharedRoot(this.#options)).directory;
  }

  /** @throws MembraneError where the directory cannot be used. */
  ofSockets(): Promise<string> {
    return (this.#sockets ??= socketRealm(this.socketDirectory).catch((error: unknown) => {
      this.#sockets = undefined;
      throw error;
    }));
  }

  /** @throws MembraneError where the directory cannot be used. */
  ofVolume(): Promise<string> {
    return (this.#volume ??= locateSharedRoot(this.#options)
      .then(({ directory, mode }) => volumeRealm(directory, mode))
      .catch((error: unknown) => {
        this.#volume = undefined;
        throw error;
      }));
  }

  /** By mode, those that can be used. */
  async own(): Promise<OwnRealms> {
    const lookups: Record<CommunicationMode, () => Promise<string>> = {
      ipc: () => this.ofSockets(),
      network: () => Promise.resolve(this.#options.networkRealm),
      'shared-volume': () => this.ofVolume(),
    };
    const found = await Promise.all(
      this.#options.modes.map(async (mode) => [mode, await lookups[mode]().catch(() => undefined)] as const),
    );
    return Object.fromEntries(found.filter(([, realm]) => realm !== undefined));
  }
}
