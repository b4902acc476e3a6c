import type { RouteName } from '@membrane/protocol';

/** A field that every answer of a call has; a list has none. */
const TELLING_FIELDS: Readonly<Record<RouteName, string | undefined>> = {
  register: 'incarnation',
  deregister: 'success',
  heartbeat: 'success',
  discover: 'instances',
  list: undefined,
  forest: undefined,
  tree: 'children',
  move: 'success',
  dissolve: 'success',
  divide: 'success',
  drain: 'success',
  postMessage: 'message_id',
  collectMessages: undefined,
  ackMessages: 'unknown',
  deadLetters: undefined,
  changeDeadLetters: 'changed',
  status: 'registry_id',
  events: undefined,
  watch: undefined,
  live: 'status',
  ready: 'status',
};

/** False where something else than a registry answers: that is to be said as such, whatever it sent. */
export function isAnswer(name: RouteName, data: unknown): boolean {
  const field = TELLING_FIELDS[name];
  if (field === undefined) return Array.isArray(data);
  return typeof data === 'object' && data !== null && field in data;
}
