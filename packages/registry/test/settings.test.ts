import { parseRegistryOptions, probeRules, type RegistryOptions } from '../src/options.js';
import { readRegistrySettings } from '../src/settings.js';

describe('the settings of health checks', () => {
  it('are off, and reach private addresses and this machine, unless something else is said', () => {
    const { healthChecks, ...options } = parseRegistryOptions(readRegistrySettings({}, {}));
    expect(healthChecks).toBe(false);
    expect(options).toMatchObject({
      healthCheckIntervalMs: 10_000,
      healthCheckTimeoutMs: 2_000,
      healthCheckFailureThreshold: 3,
      healthCheckSuccessThreshold: 2,
      maxConcurrentHealthChecks: 64,
    });
  });

  it.each<[Partial<RegistryOptions>, string[]]>([
    [{}, ['loopback', 'private']],
    [{ host: 'localhost' }, ['loopback', 'private']],
    [{ host: '::1' }, ['loopback', 'private']],
    // Then those who register are elsewhere, and mean another loopback.
    [{ host: '0.0.0.0', allowAnonymous: true }, ['private']],
    [{ host: '0.0.0.0', allowAnonymous: true, healthCheckAllow: ['public'] }, ['public']],
    [{ healthCheckAllow: ['10.0.0.0/8'] }, ['10.0.0.0/8']],
  ])('with %j lead to %j', (options, rules) => {
    expect(probeRules(parseRegistryOptions(options))).toEqual(rules);
  });

  it('come from flags and the environment', () => {
    const environment = {
      MEMBRANE_REGISTRY_HEALTH_CHECKS: 'true',
      MEMBRANE_REGISTRY_HEALTH_CHECK_INTERVAL: '1s',
      MEMBRANE_REGISTRY_HEALTH_CHECK_TIMEOUT: '500ms',
      MEMBRANE_REGISTRY_HEALTH_CHECK_FAILURE_THRESHOLD: '5',
      MEMBRANE_REGISTRY_HEALTH_CHECK_SUCCESS_THRESHOLD: '1',
      MEMBRANE_REGISTRY_HEALTH_CHECK_MAX_CONCURRENT: '8',
      MEMBRANE_REGISTRY_HEALTH_CHECK_ALLOW: 'private, *.example.com,2001:db8::/32',
    };
    const fromEnvironment = {
      healthChecks: true,
      healthCheckIntervalMs: 1_000,
      healthCheckTimeoutMs: 500,
      healthCheckFailureThreshold: 5,
      healthCheckSuccessThreshold: 1,
      maxConcurrentHealthChecks: 8,
      healthCheckAllow: ['private', '*.example.com', '2001:db8::/32'],
    };
    expect(readRegistrySettings({}, environment)).toEqual(fromEnvironment);
    expect(
      readRegistrySettings({ 'health-checks': false, 'health-check-interval': '20' }, environment),
    ).toEqual({ ...fromEnvironment, healthChecks: false, healthCheckIntervalMs: 20_000 });
  });

  const ALLOW =
    'must be one or more of loopback, private, public, networks (as "10.1.0.0/16"), addresses and host names (as "*.example.com")';

  it.each([
    ['health-checks', 'on', 'must be "true" or "false"'],
    ['health-check-interval', '50ms', 'must be a duration from 100ms to 1d, as "10s"'],
    ['health-check-timeout', '2min', 'must be a duration from 10ms to 60s, as "2s"'],
    ['health-check-failure-threshold', '0', 'must be a whole number from 1 to 100'],
    ['health-check-success-threshold', '101', 'must be a whole number from 1 to 100'],
    ['health-check-max-concurrent', 'all', 'must be a whole number from 1 to 10000'],
    ['health-check-allow', 'private,10.0.0.0/33', `${ALLOW}, separated by commas`],
    ['health-check-allow', 'http://oven', `${ALLOW}, separated by commas`],
    ['health-check-allow', 'private,', `${ALLOW}, separated by commas`],
  ])('%s that is "%s" is refused', (flag, text, expectation) => {
    const variable = `MEMBRANE_REGISTRY_${flag.toUpperCase().replaceAll('-', '_')}`;
    expect(() => readRegistrySettings({ [flag]: text }, {})).toThrow(
      `--${flag} ${expectation}; got "${text}"`,
    );
    expect(() => readRegistrySettings({}, { [variable]: text })).toThrow(
      `${variable} ${expectation}; got "${text}"`,
    );
  });

  it.each<[Partial<RegistryOptions>, string]>([
    [{ healthChecks: 'yes' as never }, 'healthChecks must be true or false; got yes'],
    [
      { healthCheckIntervalMs: 1 },
      'healthCheckIntervalMs must be a duration from 100ms to 1d, as "10s"; got 1',
    ],
    [{ healthCheckTimeoutMs: 1 }, 'healthCheckTimeoutMs must be a duration from 10ms to 60s, as "2s"; got 1'],
    [
      { healthCheckFailureThreshold: 1.5 },
      'healthCheckFailureThreshold must be a whole number from 1 to 100; got 1.5',
    ],
    [
      { healthCheckSuccessThreshold: 0 },
      'healthCheckSuccessThreshold must be a whole number from 1 to 100; got 0',
    ],
    [
      { maxConcurrentHealthChecks: 0 },
      'maxConcurrentHealthChecks must be a whole number from 1 to 10000; got 0',
    ],
    [{ healthCheckAllow: [] }, `healthCheckAllow ${ALLOW}; got []`],
    [{ healthCheckAllow: ['private', 'a b'] }, `healthCheckAllow ${ALLOW}; got ["private","a b"]`],
  ])('%j is refused', (options, message) => {
    expect(() => parseRegistryOptions(options)).toThrow(message);
  });
});
