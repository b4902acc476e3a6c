import { MemoryMembraneStore } from '../../src/store/memory-membrane-store.js';
import { describeStore } from './membrane-store.conformance.js';

describeStore('memory', () =>
  Promise.resolve({
    open: (journalLimit) =>
      Promise.resolve(new MemoryMembraneStore(journalLimit === undefined ? {} : { journalLimit })),
  }),
);
