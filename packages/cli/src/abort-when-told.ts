const END_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Aborts when somebody ends the command: by Ctrl-C, by `kill`, by closing its terminal. */
export function abortWhenTold(ended: AbortController): void {
  for (const signal of END_SIGNALS) process.once(signal, () => ended.abort());
}
