import type { MembraneRecord } from '@membrane/protocol';
import { renewLease } from '../../src/domain/lease.js';
import { HealthChecker, type HealthCheckerOptions } from '../../src/health/health-checker.js';
import type { ProbeOutcome } from '../../src/health/prober.js';
import { registration, RegistryCore, TICK_MS } from '../support/registry-core.js';

const token = (name: string): string => `token-of-${name}`.padEnd(32, '.');
const PASSED: ProbeOutcome = { kind: 'passed' };
const FAILED: ProbeOutcome = { kind: 'failed', reason: 'it answered 503' };
const REFUSED: ProbeOutcome = { kind: 'refused', reason: 'it has credentials' };
const INTERVAL_MS = 1_000;
const DAY_MS = 86_400_000;

/** Health checks of a registry without HTTP; what they come to is up to the test. */
class Checks {
  readonly core: RegistryCore;
  readonly checker: HealthChecker;
  readonly asked: { url: string; atMs: number }[] = [];
  readonly refused: string[] = [];
  outcomeOf: (url: string, signal: AbortSignal) => ProbeOutcome | Promise<ProbeOutcome> = () => PASSED;

  constructor(core: RegistryCore, options: Partial<HealthCheckerOptions> = {}) {
    this.core = core;
    this.checker = new HealthChecker({
      isOn: true,
      state: core.state,
      queue: core.queue,
      clock: core.clock,
      random: () => 0.5,
      intervalMs: INTERVAL_MS,
      failureThreshold: 3,
      successThreshold: 2,
      maxConcurrent: 100,
      probe: async (url, signal) => {
        this.asked.push({ url, atMs: core.clock.monotonicMs() });
        return this.outcomeOf(url, signal);
      },
      isStoreWritable: () => core.isWritable,
      onRefused: ({ id }, reason) => this.refused.push(`${id}: ${reason}`),
      onError: (error) => {
        throw error;
      },
      ...options,
    });
    core.listeners.push((change) => {
      this.checker.noteChange(change);
    });
    // So few are looked at before it returns.
    void this.checker.start();
    started.push(this.checker);
  }

  /** Time passes; the checks that are due are made, and what they come to is stored. */
  async pass(ms: number, heartbeats: readonly string[] = []): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += TICK_MS) {
      await this.core.tick();
      for (const id of heartbeats) this.core.service.heartbeat({ id });
      this.checker.tick();
      await this.checker.idle();
      await this.core.queue.idle();
    }
  }
}

const started: HealthChecker[] = [];
let core: RegistryCore;
let checks: Checks;

beforeEach(async () => {
  core = await new RegistryCore().load();
  checks = new Checks(core);
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((checker) => checker.stop()));
});

const register = (
  id: string,
  rest: Parameters<typeof registration>[1] = {},
): ReturnType<RegistryCore['service']['register']> =>
  core.service.register(
    registration(id, { health_check_url: `http://${id}/`, heartbeat_interval_ms: DAY_MS, ...rest }),
  );
const only = (): Pick<MembraneRecord, 'status' | 'failing_check'> => {
  const [{ status, failing_check } = {} as MembraneRecord] = core.list();
  return { status, failing_check };
};
const eventsOf = (id: string): string[] => core.service.events({ membrane: id }).map(({ event }) => event);
/** Registered, and failing. */
const registerFailing = async (rest: Parameters<typeof registration>[1] = {}): Promise<void> => {
  await register('oven', rest);
  checks.outcomeOf = () => FAILED;
  await checks.pass(3 * INTERVAL_MS);
  expect(core.statusOf('oven')).toBe('unhealthy');
};

describe('an instance whose checks fail', () => {
  it('is unhealthy after so many in a row, says why and since when, and recovers after so many that pass', async () => {
    await register('oven');
    checks.outcomeOf = () => FAILED;
    await checks.pass(2.4 * INTERVAL_MS);
    expect([checks.asked.length, only()]).toEqual([2, { status: 'active', failing_check: undefined }]);
    checks.outcomeOf = () => PASSED;
    await checks.pass(INTERVAL_MS);
    checks.outcomeOf = () => FAILED;
    await checks.pass(2 * INTERVAL_MS);
    // One that passed began the count anew.
    expect(core.statusOf('oven')).toBe('active');
    await checks.pass(INTERVAL_MS);
    const since = checks.asked.at(-1)!.atMs - core.clock.monotonicMs() + core.clock.wallMs();
    expect(only()).toEqual({
      status: 'unhealthy',
      failing_check: { reason: 'it answered 503', since: since / 1_000 },
    });
    expect(core.service.events({ limit: 1 })).toMatchObject([
      { event: 'unhealthy', record: { status: 'unhealthy', failing_check: { reason: 'it answered 503' } } },
    ]);
    checks.outcomeOf = () => ({ kind: 'failed', reason: 'it refused the connection' });
    const { revision } = core.state;
    await checks.pass(5 * INTERVAL_MS);
    expect(core.state.revision).toBe(revision);
    checks.outcomeOf = () => PASSED;
    await checks.pass(INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('unhealthy');
    await checks.pass(INTERVAL_MS);
    expect(only()).toEqual({ status: 'active', failing_check: undefined });
    await checks.pass(10 * INTERVAL_MS);
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'recovered']);
  });

  it('is not made well by heartbeats, which change nothing', async () => {
    await register('oven', { heartbeat_interval_ms: 1_000 });
    checks.outcomeOf = () => FAILED;
    await checks.pass(3 * INTERVAL_MS, ['oven']);
    expect(core.statusOf('oven')).toBe('unhealthy');
    const { revision } = core.state;
    await checks.pass(20 * INTERVAL_MS, ['oven']);
    expect(core.statusOf('oven')).toBe('unhealthy');
    // So that nobody is asked to commit anything.
    const { state } = core;
    const lease = state.leases.get('default', 'oven', 'default');
    expect(lease && renewLease(lease, null, undefined, state.leaseNowMs())).toBe('renewed');
    expect(core.state.revision).toBe(revision);
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy']);
  });

  it('gives way to healthy replicas, and leaves the counts right', async () => {
    for (const instance_id of ['r1', 'r2']) {
      await register('oven', { instance_id, health_check_url: `http://${instance_id}/` });
    }
    const order = (): string[] =>
      core.service.discover('oven', {}).map(({ instance_id, status }) => `${instance_id} ${status}`);
    checks.outcomeOf = (url) => (url === 'http://r1/' ? FAILED : PASSED);
    await checks.pass(4 * INTERVAL_MS);
    expect(order()).toEqual(['r2 active', 'r1 unhealthy']);
    expect([...core.state.directory.counts()]).toEqual([
      ['default', { active: 1, unhealthy: 1, draining: 0 }],
    ]);
    expect(checks.checker.describe()).toEqual({ checked: 2, failing: 1, refused: 0 });
    await core.service.deregister({ id: 'oven', instance_id: 'r1' });
    expect(checks.checker.describe()).toEqual({ checked: 1, failing: 0, refused: 0 });
  });

  it('drains beside', async () => {
    await registerFailing();
    await core.tree.drain('oven', { enabled: true, reason: 'disk' });
    expect(core.list()).toMatchObject([
      { status: 'unhealthy', drain: { reason: 'disk' }, failing_check: { reason: 'it answered 503' } },
    ]);
    checks.outcomeOf = () => PASSED;
    await checks.pass(2 * INTERVAL_MS);
    expect(core.list()).toMatchObject([{ status: 'draining', drain: { reason: 'disk' } }]);
    expect(only().failing_check).toBeUndefined();
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'draining', 'recovered']);
  });
});

describe('silence', () => {
  const INTERVAL = { heartbeat_interval_ms: 2_000 };

  it('ends a lease at the same time, whatever the checks say', async () => {
    await register('well', INTERVAL);
    await register('sick', INTERVAL);
    checks.outcomeOf = (url) => (url === 'http://sick/' ? FAILED : PASSED);
    await checks.pass(9_900);
    expect([core.statusOf('well'), core.statusOf('sick')]).toEqual(['unhealthy', 'unhealthy']);
    await checks.pass(100);
    expect(core.list()).toEqual([]);
    expect(eventsOf('well')).toEqual(['registered', 'unhealthy', 'expired']);
    // Its second cause is no second event of the kind.
    expect(eventsOf('sick')).toEqual(['registered', 'unhealthy', 'updated', 'expired']);
    const { length } = checks.asked;
    await checks.pass(5 * INTERVAL_MS);
    expect(checks.asked).toHaveLength(length);
  });

  it('and failing checks end one after the other', async () => {
    await register('oven', INTERVAL);
    checks.outcomeOf = () => FAILED;
    await checks.pass(4_500);
    core.service.heartbeat({ id: 'oven' });
    await core.queue.idle();
    expect(only()).toMatchObject({ status: 'unhealthy', failing_check: { reason: 'it answered 503' } });
    checks.outcomeOf = () => PASSED;
    await checks.pass(3_000, ['oven']);
    expect(only()).toEqual({ status: 'active', failing_check: undefined });
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'updated', 'updated', 'recovered']);
  });

  it('is not over because a check passes', async () => {
    await register('oven', INTERVAL);
    checks.outcomeOf = () => FAILED;
    await checks.pass(4_500);
    checks.outcomeOf = () => PASSED;
    await checks.pass(3_000);
    expect(only()).toEqual({ status: 'unhealthy', failing_check: undefined });
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'updated', 'updated']);
    await checks.pass(2_500);
    expect(core.list()).toEqual([]);
  });
});

describe('a registration', () => {
  it('of the same process keeps what its checks came to, unless its URL is another one', async () => {
    const rest = { lease_token: token('one') };
    await registerFailing(rest);
    await register('oven', { ...rest, metadata: { heat: 220 } });
    expect(only()).toMatchObject({ status: 'unhealthy', failing_check: { reason: 'it answered 503' } });
    await register('oven', { ...rest, health_check_url: 'http://oven/new' });
    expect(only()).toEqual({ status: 'active', failing_check: undefined });
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'updated', 'updated']);
    const { length } = checks.asked;
    await checks.pass(2 * INTERVAL_MS);
    expect(new Set(checks.asked.slice(length).map(({ url }) => url))).toEqual(new Set(['http://oven/new']));
    expect(core.statusOf('oven')).toBe('active');
    await checks.pass(INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('unhealthy');
    await register('oven', { ...rest, health_check_url: null });
    expect(core.statusOf('oven')).toBe('active');
    expect(checks.checker.describe()).toEqual({ checked: 0, failing: 0, refused: 0 });
  });

  it('of another process begins anew', async () => {
    await registerFailing({ lease_token: token('one') });
    await register('oven', { lease_token: token('two') });
    expect(only()).toEqual({ status: 'active', failing_check: undefined });
    await checks.pass(2 * INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('active');
    await checks.pass(INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('unhealthy');
  });

  it('that was replaced while it was asked is not blamed on the new one', async () => {
    await register('oven', { lease_token: token('one') });
    checks = new Checks(core, { failureThreshold: 1 });
    let answer: (outcome: ProbeOutcome) => void = () => undefined;
    checks.outcomeOf = () => new Promise((resolve) => (answer = resolve));
    await core.pass(600);
    checks.checker.tick();
    expect(checks.asked).toHaveLength(1);
    await register('oven', { lease_token: token('two') });
    answer(FAILED);
    await checks.checker.idle();
    await core.queue.idle();
    expect(core.statusOf('oven')).toBe('active');
  });
});

describe('a restart', () => {
  it('keeps what the checks came to, and goes on', async () => {
    await registerFailing();
    await register('silent', { heartbeat_interval_ms: 1_000, health_check_url: 'http://silent/' });
    await checks.pass(3_500);
    const before = core.list().map(({ last_heartbeat, ...record }) => record);
    expect(before).toMatchObject([
      { id: 'oven', failing_check: { reason: 'it answered 503' } },
      { id: 'silent', failing_check: { reason: 'it answered 503' } },
    ]);
    await checks.checker.stop();
    core = await core.restart();
    checks = new Checks(core);
    expect(core.list().map(({ last_heartbeat, ...record }) => record)).toEqual(before);
    expect(checks.checker.describe()).toEqual({ checked: 2, failing: 2, refused: 0 });
    // Silent for two intervals already: three, and half a one of spread.
    await checks.pass(3_400);
    expect(core.statusOf('silent')).toBe('unhealthy');
    await checks.pass(100);
    expect(core.statusOf('silent')).toBeUndefined();
    await checks.pass(2 * INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('active');
  });

  it('calls nobody alive whose check passes now, but who is silent', async () => {
    await register('oven', { heartbeat_interval_ms: 4_000 });
    checks.outcomeOf = () => FAILED;
    await checks.pass(8_500);
    await checks.checker.stop();
    core = await core.restart();
    checks = new Checks(core);
    await checks.pass(2 * INTERVAL_MS);
    expect(only()).toEqual({ status: 'unhealthy', failing_check: undefined });
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'updated', 'updated']);
  });

  it.each(['off', 'refused'])('takes them back where checks are %s now', async (how) => {
    await registerFailing();
    await checks.checker.stop();
    core = await core.restart();
    checks = new Checks(core, { isOn: how === 'refused' });
    checks.outcomeOf = () => REFUSED;
    await checks.pass(INTERVAL_MS);
    expect(only()).toEqual({ status: 'active', failing_check: undefined });
    expect(eventsOf('oven')).toEqual(['registered', 'unhealthy', 'recovered']);
    expect(checks.asked).toHaveLength(how === 'off' ? 0 : 1);
  });

  it('takes them back later where they are off and the store cannot write', async () => {
    await registerFailing();
    await checks.checker.stop();
    core = await core.restart();
    core.store.isFailing = true;
    checks = new Checks(core, { isOn: false });
    await checks.pass(3_000);
    expect(core.statusOf('oven')).toBe('unhealthy');
    core.store.isFailing = false;
    await checks.pass(3_000);
    expect(core.statusOf('oven')).toBe('active');
  });
});

describe('what is refused', () => {
  it('is nobody’s fault, told, and counted', async () => {
    await register('oven');
    await register('sink');
    checks.outcomeOf = (url) => (url === 'http://oven/' ? REFUSED : PASSED);
    await checks.pass(5 * INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('active');
    expect(new Set(checks.refused)).toEqual(new Set(['oven: it has credentials']));
    expect(checks.checker.describe()).toEqual({ checked: 1, failing: 0, refused: 1 });
    checks.outcomeOf = () => FAILED;
    await checks.pass(3 * INTERVAL_MS);
    expect(checks.checker.describe()).toEqual({ checked: 2, failing: 2, refused: 0 });
    await core.service.deregister({ id: 'oven' });
    expect(checks.checker.describe()).toEqual({ checked: 1, failing: 1, refused: 0 });
  });

  it('says nothing, as does what the registry had no time for', async () => {
    await register('oven');
    const outcomes: ProbeOutcome[] = [FAILED, FAILED, { kind: 'unknown' }, FAILED];
    checks.outcomeOf = () => outcomes.shift() ?? PASSED;
    await checks.pass(3 * INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('active');
    await checks.pass(INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('unhealthy');
  });
});

describe('checks', () => {
  it('are spread over the interval, and made once in it', async () => {
    const random = (
      (state) => () =>
        (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647
    )(42);
    await checks.checker.stop();
    checks = new Checks(core, { random, intervalMs: 10_000, maxConcurrent: 1_000 });
    await Promise.all(Array.from({ length: 1_000 }, (_, index) => register(`m-${index}`)));
    const startMs = core.clock.monotonicMs();
    await checks.pass(10_000);
    const perSecond = Array.from({ length: 10 }, () => 0);
    for (const { atMs } of checks.asked) perSecond[Math.min(9, Math.floor((atMs - startMs) / 1_000))]! += 1;
    expect(Math.min(...perSecond)).toBeGreaterThan(60);
    expect(Math.max(...perSecond)).toBeLessThan(160);
    await checks.pass(90_000);
    const counts = new Map<string, number>();
    for (const { url } of checks.asked) counts.set(url, (counts.get(url) ?? 0) + 1);
    expect(counts.size).toBe(1_000);
    expect([Math.min(...counts.values()), Math.max(...counts.values())]).toEqual([
      expect.closeTo(10, -1),
      expect.closeTo(10, -1),
    ]);
  });

  it('run so many at a time, the one that waits longest next', async () => {
    await checks.checker.stop();
    checks = new Checks(core, { maxConcurrent: 2 });
    const answers: (() => void)[] = [];
    checks.outcomeOf = () =>
      new Promise((resolve) => {
        answers.push(() => {
          resolve(PASSED);
        });
      });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await register(id);
    core.clock.advance(600);
    const asked = (): string[] => checks.asked.map(({ url }) => url);
    checks.checker.tick();
    checks.checker.tick();
    expect(asked()).toEqual(['http://a/', 'http://b/']);
    answers[0]?.();
    await new Promise(setImmediate);
    expect(asked()).toEqual(['http://a/', 'http://b/', 'http://c/']);
    core.clock.advance(INTERVAL_MS);
    answers[1]?.();
    answers[2]?.();
    await new Promise(setImmediate);
    expect(asked().slice(3)).toEqual(['http://d/', 'http://e/']);
    answers[3]?.();
    await new Promise(setImmediate);
    expect(asked().slice(5)).toEqual(['http://a/']);
    for (const answer of answers) answer();
    checks.outcomeOf = () => PASSED;
    for (const answer of answers) answer();
    await new Promise(setImmediate);
  });

  it('wait while the store cannot write, and decide nothing meanwhile', async () => {
    await register('oven', { heartbeat_interval_ms: DAY_MS });
    checks.outcomeOf = () => FAILED;
    await checks.pass(2 * INTERVAL_MS);
    core.store.isFailing = true;
    await checks.pass(INTERVAL_MS);
    expect(core.isWritable).toBe(false);
    expect(core.statusOf('oven')).toBe('active');
    core.store.isFailing = false;
    await checks.pass(3 * INTERVAL_MS);
    expect(core.statusOf('oven')).toBe('unhealthy');
  });

  it('end when they are stopped, and none begins', async () => {
    await register('oven');
    let stopped: AbortSignal | undefined;
    checks.outcomeOf = (_, signal) =>
      new Promise((resolve) => {
        stopped = signal;
        signal.addEventListener('abort', () => {
          resolve({ kind: 'unknown' });
        });
      });
    core.clock.advance(600);
    checks.checker.tick();
    await checks.checker.stop();
    expect(stopped?.aborted).toBe(true);
    core.clock.advance(10 * INTERVAL_MS);
    checks.checker.tick();
    await checks.checker.start();
    expect(checks.asked).toHaveLength(1);
  });

  it('begin once, however often they are started', async () => {
    expect(checks.checker.start()).toBe(checks.checker.start());
    await checks.checker.start();
  });

  it('are made of those alone who gave a URL', async () => {
    await register('oven', { health_check_url: null });
    await register('sink', { health_check_url: 'http://sink/' });
    await checks.pass(INTERVAL_MS);
    expect(checks.asked.map(({ url }) => url)).toEqual(['http://sink/']);
  });
});
