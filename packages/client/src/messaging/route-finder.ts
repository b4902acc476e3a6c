import { LIMITS, type CommunicationMode, type DeliveryAttempt, type MembraneError } from '@membrane/protocol';
import type { Balancer } from '../balancing/balancer.js';
import type { Clock } from '../clock.js';
import type { FoundMembrane } from '../resolver.js';
import type { Transport } from '../transports/transport.js';
import { RouteHealth } from './route-health.js';
import { planRoutes, type OwnRealms, type Reachable } from './route-planner.js';
import { isKeeping, routeKey, type Route } from './route.js';

/** How long a plan serves without a look at what the resolver knows. */
const PLAN_TTL_MS = 1_000;
const MAX_PLANS = 10_000;

export interface RouteFinderParts {
  readonly id: string;
  readonly discover: (id: string, signal?: AbortSignal) => Promise<FoundMembrane | undefined>;
  readonly forget: (id: string) => void;
  /** False where no registry knows the id, not even as one that is away. */
  readonly isKnown: (id: string, signal: AbortSignal) => Promise<boolean>;
  readonly realms: OwnRealms;
  readonly transports: Readonly<Partial<Record<CommunicationMode | 'mailbox', Transport>>>;
  readonly clock: Clock;
  /** Chooses among the instances of an id; without it the first is taken. */
  readonly balancer?: Pick<Balancer, 'choose' | 'begin'> | undefined;
}

/** Whom a message is for: one instance of an id, or any. */
export interface RouteRequest {
  readonly target: string;
  /** Undefined: whichever is chosen. */
  readonly instanceId: string | undefined;
  /** What stays with one instance. */
  readonly key?: string | undefined;
  /**
   * `wanted`: somebody waits for the handler, so that routes which rest are tried too. `needed`: and cannot be told by a
   * message, so that it goes only where an answer comes back.
   */
  readonly answer: 'unneeded' | 'wanted' | 'needed';
}

/** The direct ways to the instances of a membrane. */
export interface DirectPlan {
  readonly membrane: FoundMembrane | undefined;
  /** By instance, the preferred one first. */
  readonly instances: readonly { readonly instanceId: string; readonly routes: readonly Route[] }[];
  /** All of them, in that order. */
  readonly routes: readonly Route[];
  readonly skipped: readonly DeliveryAttempt[];
  readonly untilMs: number;
}

/** Finds the ways to a membrane: direct ones, then relays, then the mailbox of the registry. */
export class RouteFinder {
  readonly #parts: RouteFinderParts;
  readonly #health: RouteHealth;
  readonly #plans = new Map<string, DirectPlan>();
  readonly #forgottenAtMs = new Map<string, number>();

  constructor(parts: RouteFinderParts) {
    this.#parts = parts;
    this.#health = new RouteHealth(parts.clock);
  }

  /** The plan at hand; undefined where a registry may have to be asked. */
  known(target: string): DirectPlan | undefined {
    const plan = this.#plans.get(target);
    return plan !== undefined && this.#parts.clock.monotonicMs() < plan.untilMs ? plan : undefined;
  }

  /** @throws MembraneError `registry_unreachable`; the reason of the signal. */
  async find(target: string, signal?: AbortSignal): Promise<DirectPlan> {
    const membrane = await this.#parts.discover(target, signal);
    const before = this.#plans.get(target);
    const untilMs = this.#parts.clock.monotonicMs() + PLAN_TTL_MS;
    const isSame =
      before?.membrane !== undefined &&
      membrane !== undefined &&
      before.membrane.instances === membrane.instances;
    const plan = isSame ? { ...before, untilMs } : { ...this.#plan(membrane), membrane, untilMs };
    this.#plans.delete(target);
    this.#plans.set(target, plan);
    const [oldest] = this.#plans.keys();
    if (this.#plans.size > MAX_PLANS && oldest !== undefined) this.#plans.delete(oldest);
    return plan;
  }

  /** The routes of a plan that fit a request. Those that failed lately are left out. */
  choose(
    { instances, routes, membrane }: DirectPlan,
    { instanceId, answer, key }: RouteRequest,
  ): readonly Route[] {
    let chosen = routes;
    if (instanceId !== undefined) {
      chosen = instances.find((instance) => instance.instanceId === instanceId)?.routes ?? [];
    } else if (instances.length > 1) {
      const first = this.#parts.balancer?.choose(membrane?.instances ?? [], { key })?.instanceId;
      const isFirst = (instance: { instanceId: string }): boolean => instance.instanceId === first;
      const others = instances.filter((instance) => !isFirst(instance));
      chosen = [...instances.filter(isFirst), ...others].flatMap((instance) => instance.routes);
    }
    if (answer !== 'needed' && !this.#health.isAnyResting) return chosen;
    if (answer === 'needed') return chosen.filter((route) => !isKeeping(route));
    const isLeftOut = (route: Route): boolean =>
      (answer === 'unneeded' || isKeeping(route)) && this.#health.isResting(routeKey(route.via));
    return chosen.some(isLeftOut) ? chosen.filter((route) => !isLeftOut(route)) : chosen;
  }

  /**
   * A message is handed to one of several instances.
   * @returns what ends it, with whether the instance is to blame
   */
  begin({ target }: RouteRequest, { instanceId }: Route): ((isFailure: boolean) => void) | undefined {
    const known = this.#plans.get(target)?.membrane?.instances;
    if (instanceId === undefined || known === undefined || known.length < 2) return undefined;
    const instance = known.find((each) => each.instanceId === instanceId);
    return instance === undefined ? undefined : this.#parts.balancer?.begin(instance);
  }

  /** The ways of a plan that a request leaves out whose answer could not come back, and why. */
  withoutAnswer({ routes, membrane }: DirectPlan): readonly DeliveryAttempt[] {
    const target = membrane?.id ?? '';
    const keeping = routes.filter(isKeeping).map(({ kind, address }) => ({ route: kind, address }));
    return [...keeping, { route: 'mailbox', address: target }].map((left) => ({
      ...left,
      target,
      result: 'skipped',
      reason: 'no answer comes back this way to a client that is not registered',
    }));
  }

  /**
   * Ways through membranes that relay: along the ancestors of the receiver, the nearest to it first, then along those
   * of this membrane. Each of them finds its own way on.
   */
  async findRelays(
    receiver: FoundMembrane | undefined,
    path: readonly string[],
    signal?: AbortSignal,
  ): Promise<readonly Route[]> {
    const own = await this.#parts.discover(this.#parts.id, signal);
    const relays = new Map<string, FoundMembrane>();
    for (const start of [receiver, own]) {
      for await (const ancestor of this.#ancestors(start, signal)) relays.set(ancestor.id, ancestor);
    }
    const routes: Route[] = [];
    for (const relay of relays.values()) {
      const isUsable = relay.relay && relay.id !== this.#parts.id && relay.id !== receiver?.id;
      if (!isUsable || path.includes(relay.id)) continue;
      const plan = this.known(relay.id) ?? (await this.find(relay.id, signal));
      for (const via of this.choose(plan, toRelay(relay.id))) {
        // What lies on a volume is read by its owner alone.
        if (via.kind === 'shared-volume') continue;
        const place = { kind: 'relay', address: relay.id } as const;
        routes.push({ ...via, ...place, key: routeKey(place), instanceId: undefined });
      }
    }
    return routes;
  }

  /** True where `ancestor` is above a membrane in the tree. */
  async isBelow(id: string, ancestor: string, signal?: AbortSignal): Promise<boolean> {
    for await (const above of this.#ancestors(await this.discover(id, signal), signal))
      if (above.id === ancestor) return true;
    return false;
  }

  discover(id: string, signal?: AbortSignal): Promise<FoundMembrane | undefined> {
    return this.#parts.discover(id, signal);
  }

  /** False where nobody has the id, nor had it lately. Asked of the registry only where nobody is found. */
  async isKnown(target: string, signal: AbortSignal): Promise<boolean> {
    if (this.known(target)?.membrane !== undefined) return true;
    return this.#parts.isKnown(target, signal);
  }

  /** The last resort; undefined where there is none. */
  mailbox(target: string): Route | undefined {
    const transport = this.#parts.transports.mailbox;
    if (transport === undefined) return undefined;
    const via = { kind: 'mailbox', address: target } as const;
    return { ...via, id: target, instanceId: undefined, transport, key: routeKey(via), via };
  }

  /** Tells the receiver that a message of a stream will never come, where a direct way is at hand. */
  skip(target: string, skipped: { session: string; stream: string; sequence: number }): void {
    for (const { transport, via } of this.#plans.get(target)?.routes ?? []) transport.skip?.(via, skipped);
  }

  worked(route: Route): void {
    this.#health.worked(routeKey(route.via));
  }

  failed(route: Route, { code }: MembraneError): void {
    if (code === 'not_delivered' || code === 'forbidden') this.#health.failed(routeKey(route.via));
  }

  /** What is known of a membrane may be wrong. It is asked for at most once a second, however many messages fail. */
  forget(target: string): void {
    const nowMs = this.#parts.clock.monotonicMs();
    const lastMs = this.#forgottenAtMs.get(target) ?? Number.NEGATIVE_INFINITY;
    if (nowMs - lastMs < PLAN_TTL_MS) return;
    if (this.#forgottenAtMs.size >= MAX_PLANS) this.#forgottenAtMs.clear();
    this.#forgottenAtMs.set(target, nowMs);
    this.#plans.delete(target);
    this.#parts.forget(target);
  }

  #plan(membrane: FoundMembrane | undefined): Omit<DirectPlan, 'membrane' | 'untilMs'> {
    const skipped: DeliveryAttempt[] = [];
    const instances = inOrder(membrane?.instances ?? []).map((instance) => {
      const plan = planRoutes(this.#parts.realms, instance);
      skipped.push(...plan.skipped);
      const routes = plan.routes.flatMap(({ id, instanceId, kind, address, isRealmNamed }): Route[] => {
        const transport = this.#parts.transports[kind as CommunicationMode];
        return transport === undefined
          ? []
          : [
              {
                kind,
                address,
                id,
                instanceId,
                transport,
                key: routeKey({ kind, address }),
                via: { kind, address, isRealmNamed },
              },
            ];
      });
      return { instanceId: instance.instanceId, routes };
    });
    return { instances, routes: instances.flatMap(({ routes }) => routes), skipped };
  }

  async *#ancestors(
    start: FoundMembrane | undefined,
    signal: AbortSignal | undefined,
  ): AsyncIterable<FoundMembrane> {
    let parent = start?.parent ?? null;
    for (let depth = 0; parent !== null && depth < LIMITS.maxTreeDepth; depth += 1) {
      const ancestor = await this.#parts.discover(parent, signal);
      if (ancestor === undefined) return;
      yield ancestor;
      parent = ancestor.parent;
    }
  }
}

/** What keeps the messages of a stream of one sender at one instance; those of others may go elsewhere. */
export function streamKey(sender: string, stream: string | null | undefined): string | undefined {
  return stream == null ? undefined : `${sender} ${stream}`;
}

function toRelay(target: string): RouteRequest {
  return { target, instanceId: undefined, answer: 'unneeded' };
}

/** Who is well first, who drains last; the registry's order among equals. */
function inOrder<Instance extends Reachable>(instances: readonly Instance[]): readonly Instance[] {
  const ranks = { active: 0, unhealthy: 1, draining: 2 };
  // Silence shows also where it drains.
  const rankOf = ({ status, drain }: Instance): number => ranks[status] + (drain === undefined ? 0 : 2);
  return [...instances].sort((one, other) => rankOf(one) - rankOf(other));
}
