import type { RegistryOptions } from '../../src/options.js';
import { createRegistry, type Registry, type RegistryParts } from '../../src/registry.js';

/** Registries in this process, on free ports, that stop when the test is over. */
export function useRegistries(): (
  options?: Partial<RegistryOptions>,
  parts?: RegistryParts,
) => Promise<{ registry: Registry; url: string }> {
  const started: Registry[] = [];
  afterEach(async () => {
    await Promise.all(started.splice(0).map((registry) => registry.stop()));
  });
  return async (options = {}, parts = {}) => {
    const registry = createRegistry({ port: 0, data: ':memory:', ...options }, parts);
    started.push(registry);
    await registry.start();
    return { registry, url: registry.url ?? '' };
  };
}
