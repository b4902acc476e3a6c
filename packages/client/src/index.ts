export { DEFAULT_CLIENT_OPTIONS, type ClientOptions } from './options.js';
export { RegistryApi, type CallOptions, type ListFilter, type Membrane } from './registry-api.js';
