export { DEFAULT_REGISTRY_OPTIONS, MEMORY_DATA, type LogLevel, type RegistryOptions } from './options.js';
export { OperatorError } from './operator-error.js';
export { createRegistry, type Registry } from './registry.js';
export { runRegistry, type RunRegistryOptions, type RunResult } from './run-registry.js';
export { REGISTRY_SETTINGS, type RegistryFlags, type RegistrySetting } from './settings.js';
export { readHolder, type Holder } from './store/holder-file.js';
export { VERSION } from './version.js';
