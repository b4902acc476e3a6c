/** Servers under load run on one core, the load on another. */
export const SERVER_CORE = '0';
export const LOAD_CORE = '1';
