export { isMembraneError, MembraneError, type ErrorCode } from '@membrane/protocol';
export type { ClientEvents, Lease, LossReason } from './client-events.js';
export {
  createNamespaceClient,
  type ClientStatus,
  type CloseOptions,
  type DiscoverOptions,
  type NamespaceClient,
} from './namespace-client.js';
export {
  DEFAULT_CLIENT_OPTIONS,
  SETTING_PLACES,
  type CacheOptions,
  type ClientOptions,
  type NamespaceClientOptions,
  type Setting,
  type SettingName,
} from './options.js';
export type { DeregisterOptions, RegisterOptions, RegistrationState } from './own-registration.js';
export type { CallOptions, ListFilter, Membrane, RegistryApi } from './registry-api.js';
export type { FoundMembrane } from './resolver.js';
