/** A promise that is rejected with what was caught, whatever that is. */
// eslint-disable-next-line @typescript-eslint/require-await -- so that it rejects
export async function rejectWith(error: unknown): Promise<never> {
  throw error;
}
