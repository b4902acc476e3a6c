import { networkInterfaces } from 'node:os';
import type { Logger } from 'pino';
import { leaseKey } from '../domain/lease.js';
import { probeRules, type RegistryOptions } from '../options.js';
import { AddressRules } from './address-rules.js';
import { HealthChecker, type HealthCheckerOptions } from './health-checker.js';
import { NameLookup, type ResolveName } from './name-lookup.js';
import { ProbePolicy } from './probe-policy.js';
import { Prober } from './prober.js';

/** Refusals that are told to the operator: who registers must not be able to fill the log. */
const MAX_TOLD_REFUSALS = 1_000;

export interface HealthCheckerParts extends Pick<
  HealthCheckerOptions,
  'state' | 'queue' | 'clock' | 'random' | 'isStoreWritable'
> {
  readonly options: Readonly<RegistryOptions>;
  readonly logger: Logger;
  readonly ownPort: () => number | undefined;
  /** What tests replace. */
  readonly resolveName?: ResolveName | undefined;
}

/** The health checks that the options ask for; see `RegistryOptions`. */
export function createHealthChecker({
  options,
  logger,
  ownPort,
  resolveName,
  ...parts
}: HealthCheckerParts): HealthChecker {
  const ownAddresses = (): string[] =>
    Object.values(networkInterfaces()).flatMap((interfaces = []) => interfaces.map(({ address }) => address));
  const prober = new Prober({
    policy: new ProbePolicy({ rules: new AddressRules(probeRules(options)), ownPort, ownAddresses }),
    names: new NameLookup(resolveName),
    timeoutMs: options.healthCheckTimeoutMs,
  });
  const told = new Set<string>();
  return new HealthChecker({
    ...parts,
    isOn: options.healthChecks,
    intervalMs: options.healthCheckIntervalMs,
    failureThreshold: options.healthCheckFailureThreshold,
    successThreshold: options.healthCheckSuccessThreshold,
    maxConcurrent: options.maxConcurrentHealthChecks,
    probe: (url, signal) => prober.probe(url, signal),
    onRefused: ({ namespace, id, instanceId }, reason) => {
      const key = `${leaseKey(namespace, id, instanceId)} ${reason}`;
      // Of what is off nobody need be told.
      if (!options.healthChecks || told.has(key) || told.size >= MAX_TOLD_REFUSALS) return;
      told.add(key);
      logger.warn({ namespace, id, instance_id: instanceId, reason }, 'a health check URL is not probed');
    },
    onError: (error) => {
      logger.error({ err: error }, 'a health check failed to run');
    },
  });
}
