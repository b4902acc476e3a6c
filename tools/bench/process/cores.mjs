/** Where rates are compared, servers run on one core, the load on another. */
export const SERVER_CORE = '0';
export const LOAD_CORE = '1';
/** Where stalls are looked for, a server has what it would have: Node collects garbage beside the program. */
export const ALL_CORES = '0,1';
