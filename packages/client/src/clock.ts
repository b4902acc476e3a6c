/** Time and timers, handed in so that tests can pass them. */
export interface Clock {
  /** Milliseconds since an arbitrary instant; never steps. */
  monotonicMs(): number;
  /** Calls back once after a delay. No such timer keeps the process alive. */
  setTimer(callback: () => void, delayMs: number): Timer;
}

/** Longest delay of a timer of Node. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Timer {
  cancel(): void;
}

export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
