/** Time and timers, handed in so that tests can pass them. */
export interface Clock {
  /** Milliseconds since an arbitrary instant; never steps. */
  monotonicMs(): number;
  /** Calls back once after a delay. */
  setTimer(callback: () => void, delayMs: number): Timer;
}

/** Longest delay of a timer of Node. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Timer {
  cancel(): void;
}

/** No timer of it keeps the process alive. */
export const systemClock: Clock = {
  monotonicMs: () => performance.now(),
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** The same for what a program itself waits for: its timers keep the process alive. */
export const holdingClock: Clock = {
  ...systemClock,
  setTimer: (callback, delayMs) => {
    const timer = setTimeout(callback, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};
