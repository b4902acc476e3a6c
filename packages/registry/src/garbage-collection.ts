import { setFlagsFromString } from 'node:v8';

/**
 * Keeps V8 from marking what is in use in tasks of this thread: it does that on threads of its own, and here in steps of
 * a few milliseconds where memory is asked for. With a million membranes the tasks of one collection stall requests for
 * seconds, since they do not get shorter where requests wait. It holds for the whole process, so it is for a process that
 * is a registry and nothing else.
 */
export function avoidMarkingTasks(): void {
  setFlagsFromString('--no-incremental-marking-task');
}
