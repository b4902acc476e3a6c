import { isAddressRule } from './address-rules.js';

/** What the settings of health checks must be, for code, flags and environment alike. */

const MIN_INTERVAL_MS = 100;
const MAX_INTERVAL_MS = 86_400_000;
const MIN_TIMEOUT_MS = 10;
const MAX_TIMEOUT_MS = 60_000;
const MAX_THRESHOLD = 100;
const MAX_CONCURRENT = 10_000;

export const CHECK_INTERVAL_EXPECTATION = `must be a duration from ${MIN_INTERVAL_MS}ms to 1d, as "10s"`;
export const CHECK_TIMEOUT_EXPECTATION = `must be a duration from ${MIN_TIMEOUT_MS}ms to 60s, as "2s"`;
export const CHECK_THRESHOLD_EXPECTATION = `must be a whole number from 1 to ${MAX_THRESHOLD}`;
export const CHECK_CONCURRENCY_EXPECTATION = `must be a whole number from 1 to ${MAX_CONCURRENT}`;
export const CHECK_ALLOW_EXPECTATION =
  'must be one or more of loopback, private, public, networks (as "10.1.0.0/16"), addresses and host names (as "*.example.com")';

export function isCheckInterval(ms: number | undefined): ms is number {
  return isWithin(ms, MIN_INTERVAL_MS, MAX_INTERVAL_MS);
}

export function isCheckTimeout(ms: number | undefined): ms is number {
  return isWithin(ms, MIN_TIMEOUT_MS, MAX_TIMEOUT_MS);
}

export function isCheckThreshold(count: number | undefined): count is number {
  return isWithin(count, 1, MAX_THRESHOLD);
}

export function isCheckConcurrency(count: number | undefined): count is number {
  return isWithin(count, 1, MAX_CONCURRENT);
}

/** Not empty: an empty list would check nobody, which is what switching them off is for. */
export function isCheckAllow(rules: readonly unknown[]): rules is readonly string[] {
  return (
    Array.isArray(rules) &&
    rules.length > 0 &&
    rules.every((rule) => typeof rule === 'string' && isAddressRule(rule))
  );
}

function isWithin(value: number | undefined, least: number, most: number): boolean {
  return Number.isInteger(value) && (value ?? 0) >= least && (value ?? 0) <= most;
}
