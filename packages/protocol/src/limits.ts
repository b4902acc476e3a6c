/** Every bound that both ends of the wire hold each other to. Sizes in bytes, times in milliseconds. */
export const LIMITS = Object.freeze({
  /** Characters of a membrane id. */
  maxIdLength: 128,
  /** Characters of a namespace or an instance id. */
  maxNameLength: 63,
  /** Metadata of one membrane, as JSON in UTF-8. */
  maxMetadataBytes: 16 * 1024,
  /** Nesting of any JSON body: deeper documents are refused before they are looked at. */
  maxJsonDepth: 32,
  /** A request body on any call but a heartbeat batch. */
  maxBodyBytes: 256 * 1024,
  /** A heartbeat body: room for `maxHeartbeatBatch` entries. */
  maxHeartbeatBodyBytes: 4 * 1024 * 1024,
  /** Heartbeats in one batch. */
  maxHeartbeatBatch: 10_000,
  /** Records on one page of a list, and events in one answer. */
  maxPageSize: 10_000,
  /** Endpoints of one membrane. */
  maxEndpoints: 8,
  /** Characters of an endpoint address or a health check URL. */
  maxAddressLength: 2_048,
  /** Live instances (replicas) of one id. */
  maxInstancesPerId: 1_000,
  /** Levels of the tree: a root has depth 1. */
  maxTreeDepth: 64,
  /** Children that one division gives away by name. */
  maxHeirs: 1_000,
  /** Registrations below a membrane that end along with it. */
  maxCascade: 1_000,
  /** Characters of a reason given for people to read. */
  maxReasonLength: 2_048,
  /** The fastest and the slowest pace a registrant may ask for. */
  minHeartbeatIntervalMs: 250,
  maxHeartbeatIntervalMs: 86_400_000,
  /** Characters of a lease token. 128 random bits as hex are 32. */
  minLeaseTokenLength: 16,
  maxLeaseTokenLength: 256,
  /** A message envelope, as JSON in UTF-8. */
  maxMessageBytes: 1024 * 1024,
  /** Characters of a message's id, type, stream, session or correlation id. */
  maxMessageNameLength: 128,
  /** Relays that a message may pass. */
  maxHops: 16,
  /** How long a message may be under way. */
  maxMessageTtlMs: 7 * 86_400_000,
  /** Members that one broadcast reaches. */
  maxBroadcastMembers: 10_000,
  /** Messages in one answer of a mailbox, and acks in one call. */
  maxMailboxBatch: 1_000,
  /** Consumers that may be lost with a message in their hands: it is likely what kills them, and becomes a dead letter. */
  maxLostConsumers: 10,
  /** The longest a read may wait for something to come. */
  maxWaitMs: 600_000,
  /** Ids that one watch may name. */
  maxWatchIds: 100,
});
