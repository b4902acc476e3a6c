import { constants } from 'node:os';

/** How long the end of a process waits for the registry to hear of it. */
const FAREWELL_TIMEOUT_MS = 500;

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Says goodbye; should give up when the signal is aborted. */
export type Farewell = (signal: AbortSignal) => Promise<void>;

/** What all copies of this library in a process share: two that listen would each leave the end to the other. */
interface Farewells {
  readonly toSay: Set<Farewell>;
  isSaying: boolean;
  stopListening: (() => void) | undefined;
}

const SHARED = Symbol.for('@membrane/client farewells');
const ofProcess = globalThis as unknown as Record<typeof SHARED, Farewells | undefined>;
const farewells = (ofProcess[SHARED] ??= { toSay: new Set(), isSaying: false, stopListening: undefined });

/**
 * Has something said before the process ends by itself, or by SIGTERM or SIGINT where the program has no handler of
 * its own; then the signal is raised again. After `process.exit()` or a crash nothing is said.
 * @returns what takes it back.
 */
export function beforeProcessEnds(farewell: Farewell): () => void {
  farewells.stopListening ??= listen();
  farewells.toSay.add(farewell);
  return () => {
    farewells.toSay.delete(farewell);
    stopWhenIdle();
  };
}

function listen(): () => void {
  process.on('beforeExit', onBeforeExit);
  // Before all others: a handler of the program that is to run once is gone when its turn has come.
  for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  return () => {
    process.off('beforeExit', onBeforeExit);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
}

/** A second signal while goodbye is said changes nothing. */
function stopWhenIdle(): void {
  if (farewells.toSay.size > 0 || farewells.isSaying) return;
  farewells.stopListening?.();
  farewells.stopListening = undefined;
}

function onBeforeExit(): void {
  void sayAll();
}

function onSignal(signal: NodeJS.Signals): void {
  // A program that handles the signal decides for itself when it ends, and if.
  if (farewells.isSaying || handlersOfProgram(signal) > 1) return;
  void sayAll().then(() => {
    farewells.stopListening?.();
    farewells.stopListening = undefined;
    process.kill(process.pid, signal);
    // The first process of a container outlives a signal that it does not handle, and would go on without its name.
    setTimeout(() => {
      if (handlersOfProgram(signal) === 0) process.exit(128 + constants.signals[signal]);
    }, FAREWELL_TIMEOUT_MS).unref();
  });
}

/** Handlers of a signal, but those of `signal-exit`, which raises it again as soon as no other is left. */
function handlersOfProgram(signal: NodeJS.Signals): number {
  const newer = (globalThis as Record<symbol, unknown>)[Symbol.for('signal-exit emitter')];
  const older = (process as { __signal_exit_emitter__?: unknown }).__signal_exit_emitter__;
  return process.listenerCount(signal) - countOf(newer) - countOf(older);
}

function countOf(emitter: unknown): number {
  const count = (emitter as { count?: unknown } | undefined)?.count;
  return typeof count === 'number' ? count : 0;
}

async function sayAll(): Promise<void> {
  if (farewells.toSay.size === 0) return;
  farewells.isSaying = true;
  const limit = new AbortController();
  const said = Promise.allSettled([...farewells.toSay].map((farewell) => farewell(limit.signal)));
  farewells.toSay.clear();
  await new Promise<void>((resolve) => {
    // Holds the process until all is said, or enough was waited.
    const timer = setTimeout(() => {
      limit.abort();
      resolve();
    }, FAREWELL_TIMEOUT_MS);
    void said.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
  farewells.isSaying = false;
  stopWhenIdle();
}
