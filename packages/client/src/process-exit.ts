/** How long the end of a process waits for the registry to hear of it. */
const FAREWELL_TIMEOUT_MS = 500;

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Says goodbye; must settle, and gives up when the signal is aborted. */
export type Farewell = (signal: AbortSignal) => Promise<void>;

const farewells = new Set<Farewell>();
let isListening = false;

/**
 * Has something said before the process ends by itself, or by SIGTERM or SIGINT where the program has no handler of
 * its own; then the signal is raised again. After `process.exit()` or a crash nothing is said.
 * @returns what takes it back.
 */
export function beforeProcessEnds(farewell: Farewell): () => void {
  listen();
  farewells.add(farewell);
  return () => {
    farewells.delete(farewell);
    if (farewells.size === 0) stopListening();
  };
}

function listen(): void {
  if (isListening) return;
  isListening = true;
  process.on('beforeExit', onBeforeExit);
  for (const signal of SIGNALS) process.on(signal, onSignal);
}

function stopListening(): void {
  isListening = false;
  process.off('beforeExit', onBeforeExit);
  for (const signal of SIGNALS) process.off(signal, onSignal);
}

function onBeforeExit(): void {
  void sayAll();
}

function onSignal(signal: NodeJS.Signals): void {
  // A program that handles the signal decides for itself when it ends, and if.
  if (process.listenerCount(signal) > 1) return;
  void sayAll().then(() => {
    stopListening();
    process.kill(process.pid, signal);
  });
}

async function sayAll(): Promise<void> {
  const limit = new AbortController();
  // Holds the process until all is said.
  const timer = setTimeout(() => limit.abort(), FAREWELL_TIMEOUT_MS);
  const said = [...farewells].map((farewell) => farewell(limit.signal));
  farewells.clear();
  await Promise.allSettled(said);
  clearTimeout(timer);
  if (farewells.size === 0) stopListening();
}
