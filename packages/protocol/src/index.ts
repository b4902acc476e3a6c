export { parseDurationMs } from './duration.js';
export { ERROR_CODES, isErrorCode, type ErrorCode, type ErrorCodeTraits } from './error-codes.js';
export { eventTypeSchema, membraneEventSchema, type EventType, type MembraneEvent } from './events.js';
export {
  heartbeatBatchSchema,
  heartbeatSchema,
  type Heartbeat,
  type HeartbeatBatch,
  type HeartbeatBatchAnswer,
} from './heartbeat.js';
export { isDeeperThan, type JsonObject, type JsonValue } from './json.js';
export { LIMITS } from './limits.js';
export {
  isMembraneError,
  MembraneError,
  type FieldError,
  type MembraneErrorDetails,
} from './membrane-error.js';
export {
  communicationModeSchema,
  endpointSchema,
  membraneRecordSchema,
  membraneStatusSchema,
  metadataSchema,
  type CommunicationMode,
  type DiscoveredMembrane,
  type MembraneRecord,
  type MembraneStatus,
} from './membrane.js';
export {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  instanceIdSchema,
  membraneIdSchema,
  namespaceSchema,
} from './names.js';
export { fromProblem, PROBLEM_MEDIA_TYPE, problemSchema, toProblem, type Problem } from './problem.js';
export {
  discoverParamsSchema,
  discoverQuerySchema,
  eventsQuerySchema,
  listQuerySchema,
  METADATA_FILTER_PREFIX,
  type DiscoverQuery,
  type EventsQuery,
  type ListQuery,
} from './queries.js';
export {
  deregistrationRequestSchema,
  leaseTokenSchema,
  registrationRequestSchema,
  type DeregistrationAnswer,
  type DeregistrationRequest,
  type RegistrationAnswer,
  type RegistrationRequest,
} from './registration.js';
export { NEXT_CURSOR_HEADER, REVISION_HEADER, ROUTES, type Route, type RouteName } from './routes.js';
export { registryStatusSchema, type RegistryStatus, type StatusCounts } from './status.js';
export { invalidRequest, validate } from './validation.js';
export { fromWire, toWire, type CamelCased } from './wire-case.js';
