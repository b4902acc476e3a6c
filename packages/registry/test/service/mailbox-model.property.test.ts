import fc from 'fast-check';
import type { HandedMail } from '../../src/domain/hand-outs.js';
import { ack, collect, deadIds, envelope, idsOf } from '../support/mail.js';
import { codeOf, QUOTAS, registration, RegistryCore } from '../support/registry-core.js';

const BOXES = ['oven', 'sink'];
const HIDE_MS = 30_000;

const box = fc.constantFrom(...BOXES);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('post' as const),
      box,
      message: fc.integer({ min: 0, max: 9 }),
      ttlMs: fc.constantFrom(5_000, 40_000, 600_000),
      stream: fc.constantFrom(undefined, 's', 's', 't'),
      size: fc.constantFrom(10, 10_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('collect' as const),
      box,
      instanceId: fc.constantFrom('default', 'two'),
      max: fc.constantFrom(1, 1, 2, 4),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('ack' as const),
      pick: fc.nat(),
      outcome: fc.constantFrom(
        'processed' as const,
        'failed' as const,
        'released' as const,
        'in_progress' as const,
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(1_000, 10_000, 31_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('letters' as const),
      box,
      action: fc.constantFrom('requeue' as const, 'discard' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('store' as const), isFailing: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

interface Known {
  readonly stream: string | undefined;
  hidden: { readonly by: string; readonly untilMs: number } | undefined;
}

/** What was promised, kept beside the registry in the plainest way. */
class Model {
  readonly waiting = new Map(BOXES.map((each) => [each, new Map<string, Known>()] as const));
  readonly dead = new Map(BOXES.map((each) => [each, new Map<string, Known>()] as const));
  /** `BOX/ID` of those that went since the start. */
  readonly gone = new Set<string>();
  readonly out: { box: string; item: HandedMail; known: Known | undefined }[] = [];
}

class Run {
  core: RegistryCore;
  readonly model = new Model();

  constructor(core: RegistryCore) {
    this.core = core;
  }

  async take(taken: Step): Promise<void> {
    const { core, model } = this;
    if (taken.kind === 'post') {
      // One id, one content: another content would be another message.
      const id = `m-${taken.message}-${taken.stream ?? ''}-${taken.size}`;
      const body = envelope(id, {
        ttl_ms: taken.ttlMs,
        payload: 'x'.repeat(taken.size),
        ...(taken.stream === undefined ? {} : { stream: taken.stream }),
      });
      const code = await codeOf(core.mailbox.post(taken.box, body, undefined));
      const isKnown =
        model.waiting.get(taken.box)?.has(id) === true ||
        model.dead.get(taken.box)?.has(id) === true ||
        model.gone.has(`${taken.box}/${id}`);
      if (code === 'done' && !isKnown) {
        model.waiting.get(taken.box)?.set(id, { stream: taken.stream, hidden: undefined });
      }
    } else if (taken.kind === 'collect') {
      await this.#collect(taken.box, taken.instanceId, taken.max);
    } else if (taken.kind === 'ack') {
      await this.#ack(taken.pick, taken.outcome);
    } else if (taken.kind === 'pass') {
      core.clock.advance(taken.ms);
      if (core.isWritable) await core.sweeper.sweep();
      this.#noteDeaths();
    } else if (taken.kind === 'letters') {
      const code = await codeOf(core.mailbox.changeDeadLetters(taken.box, { action: taken.action }));
      const dead = model.dead.get(taken.box);
      if (code === 'done') {
        for (const [id, known] of dead ?? []) {
          if (taken.action === 'requeue')
            model.waiting.get(taken.box)?.set(id, { ...known, hidden: undefined });
          model.gone.add(`${taken.box}/${id}`);
        }
        dead?.clear();
      }
    } else if (taken.kind === 'store') {
      core.store.isFailing = taken.isFailing;
      await core.queue.probe();
    } else {
      this.core = await core.restart();
      for (const waiting of model.waiting.values()) {
        for (const known of waiting.values()) known.hidden = undefined;
      }
      model.out.length = 0;
      model.gone.clear();
    }
    this.#check();
  }

  async #collect(id: string, instanceId: string, max: number): Promise<void> {
    const { core, model } = this;
    const nowMs = core.clock.monotonicMs();
    const waiting = model.waiting.get(id);
    const items = await collect(core, { id, instanceId, max });
    expect(items.length).toBeLessThanOrEqual(max);
    const order = [...(waiting?.keys() ?? [])];
    const places = idsOf(items).map((each) => order.indexOf(each));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    for (const item of items) {
      const known = waiting?.get(item.mail.messageId);
      expect(known?.hidden === undefined || known.hidden.untilMs <= nowMs).toBe(true);
      const earlier = order.slice(0, order.indexOf(item.mail.messageId)).map((each) => waiting?.get(each));
      const isHeldByAnother = earlier.some(
        (other) =>
          item.mail.streamKey !== undefined &&
          other?.stream === known?.stream &&
          other?.hidden !== undefined &&
          other.hidden.by !== instanceId &&
          other.hidden.untilMs > nowMs,
      );
      expect(isHeldByAnother).toBe(false);
    }
    for (const item of items) {
      const known = waiting?.get(item.mail.messageId);
      if (known !== undefined) known.hidden = { by: instanceId, untilMs: nowMs + HIDE_MS };
      // Its former receipt is void from here on.
      const former = model.out.findIndex((each) => each.box === id && each.item.mail === item.mail);
      if (former !== -1) model.out.splice(former, 1);
      model.out.push({ box: id, item, known });
    }
  }

  async #ack(pick: number, outcome: 'processed' | 'failed' | 'released' | 'in_progress'): Promise<void> {
    const { core, model } = this;
    const chosen = model.out[pick % Math.max(model.out.length, 1)];
    if (chosen === undefined) return;
    const { messageId } = chosen.item.mail;
    let unknown: string[];
    try {
      ({ unknown } = await ack(core, [chosen.item], outcome));
    } catch (error) {
      expect((error as { code: string }).code).toBe('store_unavailable');
      return;
    }
    const known = model.waiting.get(chosen.box)?.get(messageId);
    if (outcome !== 'in_progress') model.out.splice(model.out.indexOf(chosen), 1);
    // One that died meanwhile and was put back is another one.
    expect(unknown.length === 0).toBe(known !== undefined && known === chosen.known);
    if (known === undefined || known !== chosen.known) return;
    if (outcome === 'released') {
      known.hidden = undefined;
      return;
    }
    if (outcome === 'in_progress') {
      const untilMs = core.clock.monotonicMs() + HIDE_MS;
      if (known.hidden !== undefined) known.hidden = { by: known.hidden.by, untilMs };
      return;
    }
    model.waiting.get(chosen.box)?.delete(messageId);
    if (outcome === 'failed') model.dead.get(chosen.box)?.set(messageId, known);
    else model.gone.add(`${chosen.box}/${messageId}`);
  }

  /** Nothing dies before its time, and of that nothing that somebody has. */
  #noteDeaths(): void {
    const { core, model } = this;
    const nowMs = core.clock.monotonicMs();
    for (const id of BOXES) {
      for (const letter of core.mailbox.deadLetters(id, { limit: 1_000 })) {
        const { messageId, deadlineMs } = letter.mail;
        const known = model.waiting.get(id)?.get(messageId);
        if (known === undefined) continue;
        expect(letter.code).toBe('expired');
        expect(deadlineMs).toBeLessThanOrEqual(core.clock.wallMs());
        expect(known.hidden === undefined || known.hidden.untilMs <= nowMs).toBe(true);
        model.waiting.get(id)?.delete(messageId);
        model.dead.get(id)?.set(messageId, known);
      }
    }
  }

  #check(): void {
    const { core, model } = this;
    const { mail } = core.state;
    let bytes = 0;
    let count = 0;
    let letters = 0;
    for (const id of BOXES) {
      const there = mail.box('default', id);
      const waiting = [...(there?.waiting.values() ?? [])];
      expect(waiting.map(({ messageId }) => messageId)).toEqual([...(model.waiting.get(id)?.keys() ?? [])]);
      const dead = deadIds(core, id);
      // Those beyond the room for dead letters are forgotten, the oldest first.
      for (const known of model.dead.get(id)?.keys() ?? []) {
        if (dead.includes(known)) continue;
        model.dead.get(id)?.delete(known);
        model.gone.add(`${id}/${known}`);
      }
      expect(new Set(dead)).toEqual(new Set(model.dead.get(id)?.keys()));
      expect(waiting.length).toBeLessThanOrEqual(QUOTAS.maxMessages);
      count += waiting.length;
      letters += dead.length;
      const sum = (items: readonly { bytes: number }[]): number =>
        items.reduce((total, item) => total + item.bytes, 0);
      const deadBytes = sum([...(there?.dead.values() ?? [])].map((letter) => letter.mail));
      expect(sum(waiting)).toBeLessThanOrEqual(QUOTAS.maxBytes);
      expect(deadBytes).toBeLessThanOrEqual(QUOTAS.maxBytes);
      bytes += sum(waiting) + deadBytes;
    }
    expect({ waiting: mail.waiting, bytes: mail.bytes, letters: mail.deadLetters }).toEqual({
      waiting: count,
      bytes,
      letters,
    });
  }
}

it('keeps, hides, orders, ends and finds again messages as promised, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
      const core = await new RegistryCore().load();
      for (const id of BOXES) {
        for (const instanceId of ['default', 'two']) {
          await core.service.register(
            registration(id, { instance_id: instanceId, heartbeat_interval_ms: 86_400_000 }),
          );
        }
      }
      const run = new Run(core);
      for (const each of steps) await run.take(each);
    }),
    { numRuns: 50 },
  );
}, 60_000);
