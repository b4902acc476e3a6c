/**
 * Why a registry cannot start or cannot use its store, in words for an operator: what, where, and what would be
 * right. To be shown as it is, without a stack.
 */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
}
