/** Whether the reader of a pipe has gone: that ends a command, and is no failure. */
export function isReaderGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}
