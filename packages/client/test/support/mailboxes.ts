import { RegistryApi } from '../../src/registry-api.js';
import { RegistryConnection } from '../../src/registry-connection.js';
import { MailboxCollector, type MailboxCollectorParts } from '../../src/transports/mailbox-collector.js';

export const LEASE_TOKEN = 'a-token-of-32-characters-or-more';

export interface RecordedApi extends RegistryApi {
  /** Of each call that was answered: what was acknowledged. */
  readonly acked: readonly { outcome: string; reason?: string | null | undefined }[][];
  /** Receipts that were void. */
  readonly unknown: readonly string[];
  /** Of each call for messages: how many it asked for. */
  readonly asked: readonly (number | undefined)[];
  /** Calls for messages that have no answer yet. */
  readonly waiting: () => number;
}

/** Calls of a registry and collectors, that end when the test is over. */
export function useMailboxes() {
  const closers: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  const connect = (url: string, timeoutMs = 5_000): RecordedApi => {
    const connection = new RegistryConnection({ urls: [url], holdsProcess: false });
    closers.push(() => connection.close());
    const api = new RegistryApi(connection, { namespace: 'default', timeoutMs });
    const acked: RecordedApi['acked'][number][] = [];
    const unknown: string[] = [];
    const ackMessages: RegistryApi['ackMessages'] = async (request, call) => {
      const answer = await RegistryApi.prototype.ackMessages.call(api, request, call);
      acked.push(request.acks);
      unknown.push(...answer.unknown);
      return answer;
    };
    const asked: (number | undefined)[] = [];
    let waiting = 0;
    const collectMessages: RegistryApi['collectMessages'] = async (request, call) => {
      asked.push(request.max);
      waiting += 1;
      try {
        return await RegistryApi.prototype.collectMessages.call(api, request, call);
      } finally {
        waiting -= 1;
      }
    };
    const recorded = { acked, unknown, asked, waiting: () => waiting };
    return Object.assign(api, { ackMessages, collectMessages, ...recorded });
  };

  const register = async (api: RegistryApi, id = 'oven'): Promise<void> => {
    await api.register({
      id,
      endpoint: 'http://127.0.0.1:1',
      communicationMode: 'network',
      leaseToken: LEASE_TOKEN,
      heartbeatIntervalMs: 600_000,
    });
  };

  const collect = (parts: Pick<MailboxCollectorParts, 'api' | 'taker'> & Partial<MailboxCollectorParts>) => {
    const collector = new MailboxCollector({
      id: 'oven',
      instanceId: 'default',
      leaseToken: LEASE_TOKEN,
      ...parts,
    });
    closers.push(() => collector.stop());
    collector.start();
    return collector;
  };

  return { connect, register, collect };
}
