import { mkdirSync } from 'node:fs';

// Jest does not make the directory of its report; it runs in that of the package.
mkdirSync('test-output', { recursive: true });

// One jest configuration for every package: ESM through ts-jest, a machine-readable report in test-output/.
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: { '^.+\\.ts$': ['ts-jest', { useESM: true, tsconfig: '<rootDir>/tsconfig.test.json' }] },
  setupFilesAfterEnv: ['<rootDir>/../../tools/fail-on-print.mjs'],
  // A guard against what hangs, not a measure: real processes on a busy machine take their time.
  testTimeout: 60_000,
  // A registry under test wants a core of its own.
  maxWorkers: 2,
};
