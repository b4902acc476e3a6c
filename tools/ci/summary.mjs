// Sums the machine-readable reports of all test runners. The last line it prints is the result of the gate.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const total = { passed: 0, failed: 0, skipped: 0 };

for (const name of readdirSync(packages)) {
  const file = join(packages, name, 'test-output', 'jest.json');
  if (!existsSync(file)) {
    console.error(`${name} left no report of its tests`);
    total.failed += 1;
    continue;
  }
  const report = JSON.parse(readFileSync(file, 'utf8'));
  total.passed += report.numPassedTests;
  // A suite that could not even be loaded has no tests to count.
  total.failed += report.numFailedTests + report.numRuntimeErrorTestSuites;
  total.skipped += report.numPendingTests + report.numTodoTests;
}

console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.failed > 0) process.exitCode = 1;
