import { isMembraneError, type CommunicationMode, type MembraneError } from '@membrane/protocol';
import type { Clock } from '../clock.js';
import { makeInbox, type Endpoint } from '../endpoint.js';
import type { ClientOptions } from '../options.js';
import { toMembraneError } from '../to-membrane-error.js';
import { findListenAddress } from '../transports/local-address.js';
import { Maildir } from '../transports/maildir.js';
import { receiverPath } from '../transports/receiver-name.js';
import { openSocketReceiver, openTcpReceiver } from '../transports/receiver.js';
import { SharedVolumeInbox } from '../transports/shared-volume-inbox.js';
import { prepareSocketDirectory, socketPath } from '../transports/socket-path.js';
import type { ReceiverLimits } from '../transports/stream-limits.js';
import type { MessageTaker } from './message-taker.js';
import type { Realms } from './realms.js';

interface Closable {
  close(): Promise<void>;
}

export interface ReceivingEndParts {
  readonly options: ClientOptions;
  readonly taker: MessageTaker;
  readonly realms: Realms;
  readonly clock: Clock;
  readonly registryUrl: () => string;
  /** A way that cannot be opened, where others can. */
  readonly onFailure: (error: MembraneError) => void;
}

/** Everything that a client receives messages by but the mailbox: opened together, before it is registered. */
export class ReceivingEnd {
  readonly #parts: ReceivingEndParts;
  readonly #open: Closable[] = [];
  #endpoints: Promise<readonly Endpoint[]> | undefined;
  #volume: SharedVolumeInbox | undefined;
  /** Starts and stops of the reading, one after the other: what is made meanwhile would be left running. */
  #reading: Promise<void> = Promise.resolve();

  constructor(parts: ReceivingEndParts) {
    this.#parts = parts;
  }

  /**
   * Opens what is not open, in the modes of the client's options. A mode that nobody asked for by name may fail.
   * @throws MembraneError why none could be opened.
   */
  open(instanceId: string): Promise<readonly Endpoint[]> {
    this.#endpoints ??= this.#openAll(instanceId).catch(async (error: unknown) => {
      await this.close();
      throw error;
    });
    return this.#endpoints;
  }

  /** Reads the inbox directory from now on, be it registered by this client or by who started this process. */
  readVolume(instanceId: string): Promise<void> {
    return this.#inOrder(async () => {
      const { options, taker, clock } = this.#parts;
      if (this.#volume !== undefined || !options.modes.includes('shared-volume')) return;
      const { pollIntervalMs, watchDirectory } = options.messaging;
      const directory = await makeInbox({ ...options, instanceId });
      this.#volume = new SharedVolumeInbox({
        directory,
        taker,
        clock,
        pollIntervalMs,
        watch: watchDirectory,
      });
      await this.#volume.start();
    });
  }

  stopReading(): Promise<void> {
    return this.#inOrder(async () => {
      await this.#volume?.stop();
      this.#volume = undefined;
    });
  }

  async close(): Promise<void> {
    this.#endpoints = undefined;
    await this.stopReading();
    await Promise.allSettled(this.#open.splice(0).map((closable) => closable.close()));
  }

  #inOrder(work: () => Promise<void>): Promise<void> {
    const done = this.#reading.then(work);
    this.#reading = done.catch(() => undefined);
    return done;
  }

  async #openAll(instanceId: string): Promise<readonly Endpoint[]> {
    const openers: Record<CommunicationMode, (instanceId: string) => Promise<Endpoint>> = {
      ipc: (instance) => this.#openSocket(instance),
      network: (instance) => this.#openTcp(instance),
      'shared-volume': (instance) => this.#openVolume(instance),
    };
    const { modes, advertise, listen } = this.#parts.options;
    const endpoints: Endpoint[] = [];
    const failures: MembraneError[] = [];
    for (const mode of modes) {
      try {
        endpoints.push(await openers[mode](instanceId));
      } catch (cause) {
        const error = toMembraneError(cause);
        // The address was asked for: others count on it.
        if (mode === 'network' && (advertise !== undefined || listen !== undefined)) throw error;
        failures.push(error);
      }
    }
    const [first] = failures;
    if (first !== undefined && endpoints.length === 0) throw first;
    for (const failure of failures) this.#parts.onFailure(failure);
    return endpoints;
  }

  async #openSocket(instanceId: string): Promise<Endpoint> {
    const { options, realms } = this.#parts;
    const directory = await prepareSocketDirectory(realms.socketDirectory);
    const name = { ...options, instanceId };
    const address = await this.#listen(socketPath(directory, name)).catch((error: unknown) => {
      // Who is to take the name over from a process that lives gets a socket beside its.
      if (!isMembraneError(error) || error.code !== 'conflict') throw error;
      return this.#listen(socketPath(directory, { ...name, instanceId: `${instanceId}~${process.pid}` }));
    });
    return { mode: 'ipc', address, realm: await realms.ofSockets() };
  }

  async #listen(path: string): Promise<string> {
    this.#open.push(await openSocketReceiver(path, this.#parts.taker, this.#limits));
    return path;
  }

  get #limits(): Pick<ReceiverLimits, 'maxConnections'> {
    return { maxConnections: this.#parts.options.messaging.maxConnections };
  }

  async #openTcp(instanceId: string): Promise<Endpoint> {
    const { options, taker, registryUrl } = this.#parts;
    const { host, port, advertisedUrl } = await findListenAddress({
      registryUrl: registryUrl(),
      advertise: options.advertise,
      listen: options.listen,
    });
    const receiver = await openTcpReceiver({ host, port, limits: this.#limits });
    this.#open.push(receiver);
    const path = receiverPath({ ...options, instanceId });
    receiver.serve(path, taker);
    return {
      mode: 'network',
      address: `${advertisedUrl(receiver.port)}${path}`,
      realm: options.networkRealm,
    };
  }

  async #openVolume(instanceId: string): Promise<Endpoint> {
    const { options, realms } = this.#parts;
    const address = await makeInbox({ ...options, instanceId });
    // Before anybody hears of it: one without `new/` is taken for an older program's.
    await new Maildir(address).make();
    return { mode: 'shared-volume', address, realm: await realms.ofVolume() };
  }
}
