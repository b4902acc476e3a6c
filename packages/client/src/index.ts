export type { Candidate, Strategy, StrategyName, StrategyRequest } from './balancing/strategy.js';
export {
  isMembraneError,
  MembraneError,
  type DeliveryAttempt,
  type DeliveryOutcome,
  type ErrorCode,
  type JsonValue,
} from '@membrane/protocol';
export type { ClientEvents, Lease, LossReason } from './client-events.js';
export type { ListenOption } from './listen-option.js';
export type { DeadLetterInfo } from './messaging/dead-letters.js';
export type {
  BroadcastReport,
  Delivery,
  DeliveryRoute,
  MemberReport,
  SendOptions,
} from './messaging/delivery.js';
export type { MessageHandler } from './messaging/handler-group.js';
export { giveBack } from './messaging/give-back.js';
export type { MessagesOptions, OnMessageOptions } from './messaging/handlers.js';
export type { Message } from './messaging/message.js';
export type { DiscoverOptions, PickOptions, UseOptions } from './membrane-finder.js';
export {
  createNamespaceClient,
  type ClientStatus,
  type CloseOptions,
  type DrainOptions,
  type NamespaceClient,
  type OnChangeOptions,
  type TreeChangeOptions,
  type TreeOptions,
} from './namespace-client.js';
export {
  DEFAULT_CLIENT_OPTIONS,
  SETTING_PLACES,
  type BalancerSettings,
  type CacheOptions,
  type ClientOptions,
  type MessagingLimits,
  type MessagingOptions,
  type NamespaceClientOptions,
  type Setting,
  type SettingName,
} from './options.js';
export type { DeregisterOptions, RegisterOptions, RegistrationState } from './own-registration.js';
export type {
  CallOptions,
  EventsFilter,
  ListFilter,
  Membrane,
  MembraneTree,
  RegistryApi,
} from './registry-api.js';
export type { FoundMembrane } from './resolver.js';
export type { ReplicaStatus } from './watching/membrane-replica.js';
export type { MembraneChange, WatchedEvent, WatchFilter, WatchReset } from './watching/watch.js';
export type { WatchOptions } from './watching/watching.js';
