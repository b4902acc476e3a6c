import type { EventDraft } from '../../src/domain/change.js';
import { EventLog, type LoggedChange } from '../../src/domain/event-log.js';
import { estimateEventBytes } from '../../src/domain/event-size.js';
import type { Instance } from '../../src/domain/membrane-node.js';

const draft = (id: string, rest: Partial<EventDraft> = {}): EventDraft => ({
  event: 'registered',
  namespace: 'default',
  id,
  instanceId: 'default',
  parent: null,
  after: [],
  ...rest,
});

const change = (revision: number, rest: Partial<EventDraft> = {}): LoggedChange => ({
  revision,
  atMs: 0,
  events: [draft(`m-${revision}`, rest)],
});

const instanceOf = (text: string): Instance => ({
  instanceId: 'default',
  endpoint: 'x',
  communicationMode: 'ipc',
  endpoints: null,
  healthCheckUrl: null,
  metadata: { text },
  drain: null,
  weight: 1,
  relay: false,
  heartbeatIntervalMs: 1_000,
  status: 'active',
  silent: false,
  failingCheck: null,
  registeredAtMs: 0,
  tokenHash: null,
  attempt: 0,
  replacedTokenHashes: [],
  incarnation: 1,
  revision: 1,
});

describe('the event log', () => {
  it('keeps the last so many changes, and knows from where on it is complete', () => {
    const log = new EventLog({ maxChanges: 100, maxBytes: 1e9 });
    expect(log.floor).toBe(0);
    for (let revision = 1; revision <= 1_000; revision += 1) {
      log.append(change(revision));
      const kept = log.changesAfter(0, 1_000);
      expect(kept.length).toBeLessThanOrEqual(110);
      expect(kept[0]?.revision).toBe(log.floor + 1);
      expect(kept.at(-1)?.revision).toBe(revision);
    }
    expect(log.floor).toBeGreaterThan(880);
  });

  it('keeps fewer where they are large, and the large ones of what it holds count', () => {
    const log = new EventLog({ maxChanges: 1_000, maxBytes: 100_000 });
    const instance = instanceOf('x'.repeat(9_000));
    for (let revision = 1; revision <= 100; revision += 1) {
      log.append(change(revision, { instance }));
      expect(log.bytes).toBeLessThanOrEqual(100_000);
    }
    expect(log.changesAfter(0, 1_000).length).toBeGreaterThan(8);
    log.append(change(101, { instance: instanceOf('x'.repeat(200_000)) }));
    expect([log.changesAfter(0, 10), log.floor, log.bytes]).toEqual([[], 101, 0]);
    log.append(change(102));
    expect(log.changesAfter(101, 10)).toHaveLength(1);
  });

  it('goes on from what was loaded, and knows nothing of what went before', () => {
    const log = new EventLog({ maxChanges: 100, maxBytes: 1e9 });
    log.begin(6);
    for (const revision of [7, 9]) log.append(change(revision));
    expect([log.floor, log.changesAfter(7, 10).map(({ revision }) => revision)]).toEqual([6, [9]]);
  });

  it('passes over changes that nobody sees', () => {
    const log = new EventLog({ maxChanges: 100, maxBytes: 1e9 });
    log.append({ revision: 1, atMs: 0, events: [] });
    log.append(change(2));
    expect(log.changesAfter(0, 10).map(({ revision }) => revision)).toEqual([2]);
  });
});

describe('the size of an event', () => {
  it('grows with all that can be large in it', () => {
    const base = instanceOf('');
    const sizes = [
      draft('a'),
      draft('a', { before: Array.from({ length: 20 }, (_, index) => `p-${index}`) }),
      draft('a', { instance: base }),
      draft('a', { instance: { ...base, endpoint: 'x'.repeat(2_000) } }),
      draft('a', {
        instance: { ...base, metadata: { list: Array.from({ length: 500 }, () => ({ a: null })) } },
      }),
    ].map(estimateEventBytes);
    expect([...sizes].sort((left, right) => left - right)).toEqual(sizes);
  });
});
