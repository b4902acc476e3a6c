/** Milliseconds since an instant that all processes of a machine share; never steps. */
export function machineMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
