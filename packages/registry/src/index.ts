export {
  DEFAULT_REGISTRY_OPTIONS,
  MEMORY_DATA,
  REGISTRY_SETTINGS,
  type LogLevel,
  type RegistryFlags,
  type RegistryOptions,
  type RegistrySetting,
} from './options.js';
export { OperatorError } from './operator-error.js';
export { createRegistry, type Registry } from './registry.js';
export { runRegistry, type RunRegistryOptions, type RunResult } from './run-registry.js';
export { readHolder, type Holder } from './store/holder-file.js';
export { VERSION } from './version.js';
