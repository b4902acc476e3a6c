/** Tells child processes which registration their parents made, so that they do not make it again. */
export const REGISTERED_VARIABLE = 'MEMBRANE_REGISTERED';
