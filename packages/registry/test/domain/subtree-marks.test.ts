import fc from 'fast-check';
import type { EventDraft } from '../../src/domain/change.js';
import { TOP, type Scope } from '../../src/domain/change-scopes.js';
import { SubtreeMarks } from '../../src/domain/subtree-marks.js';

const event = (id: string, rest: Partial<EventDraft> = {}): EventDraft => ({
  event: 'updated',
  namespace: 'default',
  id,
  instanceId: 'default',
  parent: null,
  ...rest,
});

const scope = (kind: Scope['kind'], id: string, namespace = 'default'): Scope => ({ kind, namespace, id });

/** Which of the scopes have changed since a revision. */
function changed(marks: SubtreeMarks, since: number): string[] {
  return ['house', 'kitchen', 'oven', 'shop', TOP].flatMap((id) =>
    (['node', 'children', 'subtree'] as const)
      .filter((kind) => marks.isChangedSince(scope(kind, id), since))
      .map((kind) => `${kind} ${id || '/'}`),
  );
}

describe('subtree marks', () => {
  it('mark an id, the children of its parent, and everything above', () => {
    const marks = new SubtreeMarks();
    marks.note(event('oven', { before: ['kitchen', 'house'], after: ['kitchen', 'house'] }), 5);
    expect(changed(marks, 4)).toEqual([
      'subtree house',
      'children kitchen',
      'subtree kitchen',
      'node oven',
      'subtree oven',
      'subtree /',
    ]);
    expect(changed(marks, 5)).toEqual([]);
    expect(marks.isChangedSince(scope('subtree', TOP, 'other'), 4)).toBe(false);
  });

  it('mark the ancestors before and after a move', () => {
    const marks = new SubtreeMarks();
    marks.note(event('oven', { event: 'moved', before: ['kitchen', 'house'], after: ['shop'] }), 5);
    expect(changed(marks, 4)).toEqual([
      'subtree house',
      'children kitchen',
      'subtree kitchen',
      'node oven',
      'subtree oven',
      'children shop',
      'subtree shop',
      'subtree /',
    ]);
    marks.note(event('house', { event: 'moved', before: [], after: ['shop'] }), 6);
    expect(changed(marks, 5)).toContain('children /');
  });

  it('mark the children of what comes and goes: they are detached, or are no more', () => {
    const marks = new SubtreeMarks();
    marks.note(event('kitchen', { after: [] }), 5);
    expect(changed(marks, 4)).not.toContain('children kitchen');
    marks.note(event('kitchen', { event: 'deregistered', before: [] }), 6);
    expect(changed(marks, 5)).toContain('children kitchen');
  });

  it('say yes where they cannot know', () => {
    const marks = new SubtreeMarks();
    marks.begin(10);
    expect([9, 10].map((since) => marks.isChangedSince(scope('node', 'oven'), since))).toEqual([true, false]);
  });

  it('know of the ids that changed last, however many there are', () => {
    const marks = new SubtreeMarks(10);
    for (let revision = 1; revision <= 1_000; revision += 1) {
      marks.note(event(`worker-${revision}`, { after: ['house'] }), revision);
    }
    const known = Array.from({ length: 1_000 }, (_, index) => scope('node', `worker-${index + 1}`)).filter(
      (each) => !marks.isChangedSince(each, 990),
    );
    // Which of those before changed when is not known, only that it was before.
    expect(known).toHaveLength(990);
    expect(marks.isChangedSince(scope('node', 'worker-999'), 998)).toBe(true);
    expect(marks.isChangedSince(scope('node', 'worker-999'), 999)).toBe(false);
    expect(marks.isChangedSince(scope('node', 'worker-1'), 500)).toBe(true);
    expect(marks.isChangedSince(scope('subtree', 'house'), 999)).toBe(true);
    expect(marks.isChangedSince(scope('subtree', 'garden'), 999)).toBe(false);
  });

  it('never call something unchanged that an event has changed', () => {
    const id = fc.constantFrom('a', 'b', 'c', 'd');
    const ancestors = fc.option(fc.uniqueArray(id, { maxLength: 3 }), { nil: undefined });
    const step = fc.record({ id, before: ancestors, after: ancestors });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.nat(45), (steps, since) => {
        const marks = new SubtreeMarks(3);
        const touched = new Map<string, number>();
        const touch = (kind: Scope['kind'], name: string, revision: number): void => {
          touched.set(`${kind} ${name}`, revision);
        };
        for (const [index, each] of steps.entries()) {
          const revision = index + 1;
          const { before, after } = each;
          marks.note(event(each.id, { ...(before && { before }), ...(after && { after }) }), revision);
          touch('node', each.id, revision);
          for (const name of [each.id, ...(before ?? []), ...(after ?? []), TOP])
            touch('subtree', name, revision);
          for (const place of [before, after])
            if (place !== undefined) touch('children', place[0] ?? TOP, revision);
        }
        for (const [key, revision] of touched) {
          const [kind, name] = key.split(' ') as [Scope['kind'], string];
          if (revision > since) expect(marks.isChangedSince(scope(kind, name), since)).toBe(true);
        }
      }),
    );
  });
});
