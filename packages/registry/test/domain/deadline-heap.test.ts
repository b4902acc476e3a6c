import fc from 'fast-check';
import { DeadlineHeap } from '../../src/domain/deadline-heap.js';

it('gives what is due, the earliest first, whatever was added, moved and removed', () => {
  const action = fc.oneof(
    fc.record({
      kind: fc.constant('add' as const),
      item: fc.integer({ min: 0, max: 20 }),
      atMs: fc.integer({ min: 0, max: 50 }),
    }),
    fc.record({ kind: fc.constant('remove' as const), item: fc.integer({ min: 0, max: 20 }) }),
    fc.record({
      kind: fc.constant('take' as const),
      nowMs: fc.integer({ min: 0, max: 50 }),
      limit: fc.integer({ min: 1, max: 5 }),
    }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const heap = new DeadlineHeap<number>();
      const model = new Map<number, number>();
      for (const step of actions) {
        if (step.kind === 'add') {
          heap.add(step.item, step.atMs);
          // Of those that are due at once the first one added goes first.
          model.delete(step.item);
          model.set(step.item, step.atMs);
        } else if (step.kind === 'remove') {
          heap.remove(step.item);
          model.delete(step.item);
        } else {
          const due = [...model].filter(([, atMs]) => atMs <= step.nowMs).sort((a, b) => a[1] - b[1]);
          const taken = heap.takeDue(step.nowMs, step.limit);
          expect(taken).toEqual(due.slice(0, step.limit).map(([item]) => item));
          for (const item of taken) model.delete(item);
        }
        expect(heap.size).toBe(model.size);
      }
    }),
  );
});
