// Sums the machine-readable reports of all test runners. The last line it prints is the result of the gate.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';

const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const toolsReport = fileURLToPath(new URL('../test-output/tools.tap', import.meta.url));
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
  tellFailures(name, report);
}

if (existsSync(toolsReport)) {
  const report = readFileSync(toolsReport, 'utf8');
  const count = (/** @type {string} */ what) =>
    Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(report)?.[1] ?? 0);
  total.passed += count('pass');
  total.failed += count('fail') + count('cancelled');
  total.skipped += count('skipped') + count('todo');
  // The log of the gate has the rest, not far above.
  for (const [failure] of report.matchAll(/^not ok .*$/gm)) console.log(`FAILED in tools: ${failure}`);
} else {
  console.error('tools left no report of its tests');
  total.failed += 1;
}

/**
 * Told once more here, because often only the end of a long log is kept.
 *
 * @param {string} name
 * @param {{ testResults: { name: string, status: string, message: string,
 *   assertionResults: { status: string, fullName: string, failureMessages: string[] }[] }[] }} report
 */
function tellFailures(name, report) {
  for (const suite of report.testResults) {
    const failed = suite.assertionResults.filter((test) => test.status === 'failed');
    for (const test of failed) {
      console.log(`FAILED in ${name}: ${test.fullName}\n${excerpt(test.failureMessages.join('\n'))}`);
    }
    if (suite.status === 'failed' && failed.length === 0) {
      console.log(`FAILED in ${name}: ${suite.name}\n${excerpt(suite.message)}`);
    }
  }
}

/** @param {string} message */
function excerpt(message) {
  return stripVTControlCharacters(message).split('\n').slice(0, 30).join('\n').slice(0, 2_000);
}

console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
if (total.failed > 0) process.exitCode = 1;
