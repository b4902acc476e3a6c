import fc from 'fast-check';
import type { RegistrationAnswer } from '@membrane/protocol';
import { decideHealthCheck } from '../../src/domain/health.js';
import { registration, RegistryCore, TICK_MS } from '../support/registry-core.js';

/**
 * A naive registry: plain maps, everything computed anew, one command after the other. The real one must agree with
 * it after every step, whatever the order of registrations, heartbeats, departures, silence, health checks, stalls,
 * store failures and restarts.
 */

const IDS = ['a', 'b', 'c', 'd'] as const;
const INSTANCES = ['default', 'r1'] as const;
const URLS = ['http://here/', 'http://there/'] as const;
const TOKENS = [null, 'token-1', 'token-2', 'token-3'] as const;

interface ModelInstance {
  token: string | null;
  attempt: number;
  replaced: string[];
  intervalMs: number;
  silent: boolean;
  url: string | null;
  isFailing: boolean;
  renewedAtMs: number;
  incarnation: number;
}

interface ModelEnded {
  reason: 'departed' | 'removed' | 'expired';
  token: string | null;
  attempt: number;
  replaced: string[];
}

interface ModelNode {
  parent: string | null;
  requested: string | null;
  live: Map<string, ModelInstance>;
  ended: Map<string, ModelEnded>;
}

type RegisterStep = {
  kind: 'register';
  id: string;
  instance: string;
  parent: string | null;
  token: string | null;
  attempt: number | undefined;
  intervalMs: number;
  url: string | null;
};
type DeregisterStep = {
  kind: 'deregister';
  id: string;
  instance: string;
  token: string | null;
  stale: boolean;
  force: boolean;
  cascade: boolean;
};
type QueuedStep = RegisterStep | DeregisterStep;
type Step =
  | { kind: 'group'; steps: QueuedStep[] }
  | { kind: 'heartbeat'; id: string; instance: string; token: string | null; stale: boolean }
  | { kind: 'check'; id: string; instance: string; url: string; isFailing: boolean }
  | { kind: 'ticks'; count: number }
  | { kind: 'pause'; ms: number }
  | { kind: 'fail'; failing: boolean }
  | { kind: 'restart' };

const wireToken = (token: string | null): string | null => (token === null ? null : `${token}-sixteen-chars`);

class Model {
  nodes = new Map<string, ModelNode>();
  nowMs = 0;
  lastIncarnation = 0;

  clone(): Model {
    const { nodes, nowMs, lastIncarnation } = this;
    return Object.assign(new Model(), structuredClone({ nodes, nowMs, lastIncarnation }));
  }

  ancestors(parent: string | null): string[] {
    const chain: string[] = [];
    for (let id = parent; id !== null; id = this.nodes.get(id)?.parent ?? null) chain.push(id);
    return chain;
  }

  /** The code it is refused with, or what it did. */
  register(step: RegisterStep, answer: RegistrationAnswer | undefined, stored: boolean): string {
    const node = this.nodes.get(step.id);
    const live = node?.live.get(step.instance);
    const ended = node?.ended.get(step.instance);
    const same = live !== undefined && step.token !== null && live.token === step.token;
    if (same && step.attempt !== undefined && step.attempt <= live.attempt) {
      this.renew(live, stored);
      return 'kept';
    }
    if (!same && step.token !== null) {
      if (live?.replaced.includes(step.token) || ended?.replaced.includes(step.token)) return 'superseded';
      if (ended?.token === step.token && ended.reason === 'removed') return 'removed';
      if (
        ended?.token === step.token &&
        ended.reason === 'departed' &&
        step.attempt !== undefined &&
        step.attempt <= ended.attempt
      ) {
        return 'removed';
      }
    }
    let place = step.parent;
    if (node !== undefined && step.parent === node.requested) {
      place = node.parent;
    } else {
      if (node !== undefined && [...node.live.keys()].some((other) => other !== step.instance))
        return 'conflict';
      if (this.ancestors(step.parent).includes(step.id)) return 'cycle';
    }
    const target = node ?? { parent: null, requested: null, live: new Map(), ended: new Map() };
    target.parent = place;
    target.requested = step.parent;
    const previous = live ?? ended;
    target.ended.delete(step.instance);
    target.live.set(step.instance, {
      token: step.token,
      attempt: step.attempt ?? (same ? live.attempt + 1 : 0),
      replaced: same
        ? live.replaced
        : [previous?.token ?? null, ...(previous?.replaced ?? [])]
            .filter((token): token is string => token !== null && token !== step.token)
            .slice(0, 8),
      intervalMs: step.intervalMs,
      silent: false,
      url: step.url,
      isFailing: same && live.url === step.url && live.isFailing,
      renewedAtMs: same ? Math.max(live.renewedAtMs, this.nowMs) : this.nowMs,
      incarnation: same ? live.incarnation : (answer?.incarnation ?? Number.NaN),
    });
    this.nodes.set(step.id, target);
    return same ? 'updated' : 'registered';
  }

  deregister(step: DeregisterStep): string {
    const node = this.nodes.get(step.id);
    const live = node?.live.get(step.instance);
    if (node === undefined || live === undefined) {
      const ended = node?.ended.get(step.instance);
      if (ended !== undefined && step.token !== null) {
        if (ended.reason === 'departed' && ended.token === step.token) return 'kept';
        if (ended.replaced.includes(step.token)) return 'superseded';
        if (ended.token === step.token && ended.reason === 'removed') return 'removed';
      }
      return 'not_registered';
    }
    if (!step.force) {
      const fault = this.fault(live, step.token, step.stale);
      if (fault !== undefined) return fault;
    }
    this.end(node, step.instance, live.token === step.token ? 'departed' : 'removed');
    // The children stay as long as somebody holds the place.
    if (step.cascade && node.live.size === 0) {
      for (const [id, other] of this.nodes) {
        if (id === step.id || !this.ancestors(other.parent).includes(step.id)) continue;
        for (const instance of [...other.live.keys()]) this.end(other, instance, 'removed');
      }
    }
    return 'departed';
  }

  heartbeat(
    step: { id: string; instance: string; token: string | null; stale: boolean },
    stored: boolean,
  ): string {
    const node = this.nodes.get(step.id);
    const live = node?.live.get(step.instance);
    if (live === undefined) {
      const ended = node?.ended.get(step.instance);
      if (ended === undefined || step.token === null) return 'not_registered';
      if (ended.replaced.includes(step.token)) return 'superseded';
      return ended.token === step.token && ended.reason === 'removed' ? 'removed' : 'not_registered';
    }
    const fault = this.fault(live, step.token, step.stale);
    if (fault !== undefined) return fault;
    this.renew(live, stored);
    return 'done';
  }

  check(step: { id: string; instance: string; url: string; isFailing: boolean }): void {
    const live = this.nodes.get(step.id)?.live.get(step.instance);
    if (live?.url === step.url) live.isFailing = step.isFailing;
  }

  tick(passedMs: number, decides: boolean): void {
    this.nowMs += passedMs;
    if (!decides) return;
    for (const node of this.nodes.values()) {
      for (const [instance, live] of [...node.live]) {
        const silentMs = this.nowMs - live.renewedAtMs;
        if (!live.silent && silentMs >= 2 * live.intervalMs) live.silent = true;
        else if (live.silent && silentMs >= 5 * live.intervalMs) this.end(node, instance, 'expired');
      }
    }
  }

  restart(): void {
    this.nowMs = 0;
    for (const node of this.nodes.values()) {
      for (const live of node.live.values()) {
        live.renewedAtMs = (0.5 - (live.silent ? 2 : 0)) * live.intervalMs;
      }
    }
  }

  visible(): object[] {
    return [...this.nodes]
      .flatMap(([id, { parent, live }]) =>
        [...live].map(([instance, { silent, isFailing, incarnation }]) => ({
          id,
          instance,
          parent,
          status: silent || isFailing ? 'unhealthy' : 'active',
          isFailing,
          incarnation,
        })),
      )
      .sort((left, right) => left.incarnation - right.incarnation);
  }

  private renew(live: ModelInstance, stored: boolean): void {
    live.renewedAtMs = Math.max(live.renewedAtMs, this.nowMs);
    if (stored) live.silent = false;
  }

  private fault(live: ModelInstance, token: string | null, stale: boolean): string | undefined {
    if (token !== null && live.replaced.includes(token)) return 'superseded';
    if (live.token !== null && live.token !== token)
      return token === null ? 'lease_token_required' : 'superseded';
    return stale ? 'superseded' : undefined;
  }

  private end(node: ModelNode, instance: string, reason: ModelEnded['reason']): void {
    const live = node.live.get(instance);
    if (live === undefined) return;
    node.live.delete(instance);
    const { token, attempt, replaced } = live;
    if ((token !== null && reason !== 'expired') || replaced.length > 0) {
      node.ended.set(instance, { reason, token, attempt, replaced });
    }
  }
}

/** Runs the real registry and the model side by side. */
class Comparison {
  private readonly model = new Model();
  private core = new RegistryCore();

  async step(step: Step): Promise<void> {
    if (step.kind === 'group') await this.group(step.steps);
    else if (step.kind === 'heartbeat') await this.heartbeat(step);
    else if (step.kind === 'check') await this.check(step);
    else if (step.kind === 'ticks') for (let count = 0; count < step.count; count += 1) await this.tick();
    else if (step.kind === 'pause') await this.tick(step.ms);
    else if (step.kind === 'fail') this.core.store.isFailing = step.failing;
    else await this.restart();
    this.compare();
  }

  /** Commands that arrive at once. */
  private async group(steps: QueuedStep[]): Promise<void> {
    const revision = this.core.state.revision;
    const answers = await Promise.allSettled(steps.map((step) => this.submit(step)));
    await this.core.queue.idle();
    const failing = this.core.store.isFailing;
    for (const [index, step] of steps.entries()) {
      const settled = answers[index];
      const answer = settled?.status === 'fulfilled' ? settled.value : undefined;
      const code = settled?.status === 'rejected' ? (settled.reason as { code: string }).code : 'done';
      // While the store fails nothing changes: try on a copy what the answer would be.
      const model = failing ? this.model.clone() : this.model;
      const expected =
        step.kind === 'register'
          ? model.register(step, answer as RegistrationAnswer | undefined, !failing)
          : model.deregister(step);
      const changes = ['registered', 'updated', 'departed'].includes(expected);
      // Repeating a registration renews it, whatever becomes of the group it is in.
      if (failing && expected === 'kept' && step.kind === 'register')
        this.model.register(step, undefined, false);
      if (failing && (changes || code === 'store_unavailable')) {
        expect(code).toBe('store_unavailable');
        continue;
      }
      expect({ step, code }).toEqual({ step, code: changes || expected === 'kept' ? 'done' : expected });
      if (expected === 'registered') {
        const { incarnation } = answer as RegistrationAnswer;
        expect(incarnation).toBeGreaterThan(this.model.lastIncarnation);
        expect(incarnation).toBeGreaterThan(revision);
        this.model.lastIncarnation = incarnation;
      }
    }
    if (failing) expect(this.core.state.revision).toBe(revision);
  }

  private submit(step: QueuedStep): Promise<unknown> {
    const { service } = this.core;
    const common = { instance_id: step.instance, lease_token: wireToken(step.token) };
    if (step.kind === 'register') {
      const { parent, attempt, intervalMs, url } = step;
      return service.register(
        registration(step.id, {
          ...common,
          parent,
          attempt,
          heartbeat_interval_ms: intervalMs,
          health_check_url: url,
        }),
      );
    }
    return service.deregister({
      id: step.id,
      ...common,
      incarnation: this.incarnation(step),
      force: step.force,
      children: step.cascade ? 'cascade' : 'keep',
    });
  }

  /** A stale incarnation is one below that of the lease; a fresh one is not shown. */
  private incarnation({ stale }: { id: string; instance: string; stale: boolean }): number | undefined {
    return stale ? 0 : undefined;
  }

  private async heartbeat(step: Extract<Step, { kind: 'heartbeat' }>): Promise<void> {
    let code = 'done';
    const { revision } = this.core.state;
    const wasSilent = this.model.nodes.get(step.id)?.live.get(step.instance)?.silent === true;
    try {
      this.core.service.heartbeat({
        id: step.id,
        instance_id: step.instance,
        lease_token: wireToken(step.token),
        incarnation: this.incarnation(step),
      });
    } catch (error) {
      code = (error as { code: string }).code;
    }
    await this.core.queue.idle();
    if (!wasSilent) expect(this.core.state.revision).toBe(revision);
    expect({ step, code }).toEqual({ step, code: this.model.heartbeat(step, !this.core.store.isFailing) });
  }

  /** What several answers in a row come to. */
  private async check(step: Extract<Step, { kind: 'check' }>): Promise<void> {
    const { id, instance, url, isFailing } = step;
    const { core } = this;
    const live = core.state.directory
      .node('default', id)
      ?.instances.find((each) => each.instanceId === instance);
    const incarnation = live?.incarnation ?? 0;
    const command = { namespace: 'default', id, instanceId: instance, incarnation, url };
    const failure = isFailing ? 'it answered 503' : null;
    const { revision } = core.state;
    await core.queue
      .submit({
        namespace: 'default',
        id,
        decide: (view) => decideHealthCheck(view, { ...command, failure }, core.clock.wallMs()),
      })
      .catch(() => undefined);
    if (core.store.isFailing) expect(core.state.revision).toBe(revision);
    else this.model.check(step);
  }

  private async tick(passedMs = TICK_MS): Promise<void> {
    const decides = this.core.isWritable && !this.core.store.isFailing;
    this.core.clock.advance(passedMs);
    await this.core.ticker.tick();
    await this.core.queue.idle();
    // Where the process stood still for longer than two ticks, one tick has passed for the leases.
    this.model.tick(passedMs > 2 * TICK_MS ? TICK_MS : passedMs, decides);
  }

  private async restart(): Promise<void> {
    this.core = await this.core.restart();
    this.model.restart();
  }

  private compare(): void {
    const records = this.core
      .list()
      .map(({ id, instance_id: instance, parent, status, failing_check, incarnation }) => ({
        id,
        instance,
        parent,
        status,
        isFailing: failing_check !== undefined,
        incarnation,
      }))
      .sort((left, right) => left.incarnation - right.incarnation);
    expect(records).toEqual(this.model.visible());
    const [counts] = [...this.core.state.directory.counts()].map(([, counts]) => counts);
    expect((counts?.active ?? 0) + (counts?.unhealthy ?? 0)).toBe(records.length);
    expect(this.core.state.leases.size).toBe(records.length);
    const revisions = this.core.service.events({ limit: 10_000 }).map(({ revision }) => revision);
    expect(revisions).toEqual([...revisions].sort((left, right) => left - right));
  }
}

const queuedStep: fc.Arbitrary<QueuedStep> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('register' as const),
      id: fc.constantFrom(...IDS),
      instance: fc.constantFrom(...INSTANCES),
      parent: fc.constantFrom(null, null, ...IDS),
      token: fc.constantFrom(...TOKENS),
      attempt: fc.constantFrom(undefined, 1, 2, 3),
      intervalMs: fc.constantFrom(250, 1_000),
      url: fc.constantFrom(null, ...URLS, ...URLS),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('deregister' as const),
      id: fc.constantFrom(...IDS),
      instance: fc.constantFrom(...INSTANCES),
      token: fc.constantFrom(...TOKENS),
      stale: fc.boolean(),
      force: fc.boolean(),
      cascade: fc.boolean(),
    }),
  },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('group' as const),
      steps: fc.array(queuedStep, { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('heartbeat' as const),
      id: fc.constantFrom(...IDS),
      instance: fc.constantFrom(...INSTANCES),
      token: fc.constantFrom(...TOKENS),
      stale: fc.boolean(),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('check' as const),
      id: fc.constantFrom(...IDS),
      instance: fc.constantFrom(...INSTANCES),
      url: fc.constantFrom(...URLS),
      isFailing: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('ticks' as const), count: fc.integer({ min: 1, max: 30 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('pause' as const),
      ms: fc.constantFrom(150, 200, 201, 5_000, 3_600_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const), failing: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

test('the registry agrees with a naive one, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
      const comparison = new Comparison();
      for (const step of steps) await comparison.step(step);
    }),
    { numRuns: Number(process.env['MEMBRANE_PROPERTY_RUNS'] ?? 80) },
  );
}, 600_000);
