/** Whether it says that a registry did not answer in time: it may be there, and slow, or hang. */
export function isTimeout(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'registry_unreachable') return false;
  const { cause } = error;
  // Only the limit of time cancels a call that ends by this error.
  return cause instanceof Error && 'code' in cause && cause.code === 'ERR_CANCELED';
}
