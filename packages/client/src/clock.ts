/** Time and timers, handed in so that tests can pass them. */
export interface Clock {
  /** Milliseconds since an arbitrary instant; never steps. */
  monotonicMs(): number;
  /** Calls back once after a delay. No such timer keeps the process alive. */
  setTimer(callback: () => void, delayMs: number): Timer;
}

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
