export { AddressList, FORBIDDEN_RANGES, LOOPBACK_RANGES, parseAddressRange } from './address-list.js';
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
  deadLettersQuerySchema,
  deadLettersRequestSchema,
  mailboxAckRequestSchema,
  mailboxCollectQuerySchema,
  mailboxParamsSchema,
  mailboxPostQuerySchema,
  type DeadLetter,
  type DeadLettersAnswer,
  type DeadLettersQuery,
  type DeadLettersRequest,
  type MailboxAckAnswer,
  type MailboxAckRequest,
  type MailboxCollectQuery,
  type MailboxItem,
  type MailboxPostAnswer,
} from './mailbox.js';
export {
  isMembraneError,
  MembraneError,
  type DeliveryAttempt,
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
  deliveryOutcomeSchema,
  envelopeSchema,
  MESSAGE_PATH,
  MESSAGE_SUBPROTOCOL,
  messageAnswerSchema,
  messageIdSchema,
  MESSAGES_PATH,
  type DeliveryOutcome,
  type Envelope,
  type MessageAnswer,
  type ReceiverFrame,
  type SenderFrame,
} from './message.js';
export { messageKey } from './message-key.js';
export {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  instanceIdSchema,
  membraneIdSchema,
  namespaceSchema,
} from './names.js';
export { parseRevisionText, revisionTextSchema } from './numbers.js';
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
export {
  registryStatusSchema,
  type PreservedSubtree,
  type RegistryStatus,
  type StatusCounts,
} from './status.js';
export { isGroupTarget, parseTarget, type Target } from './target.js';
export {
  dissolveRequestSchema,
  divideRequestSchema,
  drainRequestSchema,
  membraneParamsSchema,
  moveRequestSchema,
  treeQuerySchema,
  type DissolveRequest,
  type DivideRequest,
  type DrainRequest,
  type MembraneTree,
  type MoveRequest,
  type TreeChangeAnswer,
  type TreeQuery,
} from './tree.js';
export { invalidRequest, validate } from './validation.js';
export {
  LAST_EVENT_ID_HEADER,
  watchQuerySchema,
  type WatchEvent,
  type WatchQuery,
  type WatchResetReason,
} from './watch.js';
export { fromWire, toWire, type CamelCased } from './wire-case.js';
