import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { systemCodeOf } from './durable-files.js';

/** Tells a process from all others, also from one that got its number later. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** When it began, in ticks since the boot. On Linux only, as the next two. */
  readonly started: string | undefined;
  /** The boot of the host, and the PID namespace in which the number counts. */
  readonly boot: string | undefined;
  readonly pidNamespace: string | undefined;
}

export function ownIdentity(): ProcessIdentity {
  return {
    pid: process.pid,
    host: hostname(),
    started: statOf(process.pid)?.started,
    boot: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
  };
}

/** Undefined where it is none. */
export function toProcessIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { pid, host, started, boot, pidNamespace } = value as Record<string, unknown>;
  if (!Number.isSafeInteger(pid) || (pid as number) < 1 || typeof host !== 'string') return undefined;
  const text = (field: unknown) => (typeof field === 'string' ? field : undefined);
  return {
    pid: pid as number,
    host,
    started: text(started),
    boot: text(boot),
    pidNamespace: text(pidNamespace),
  };
}

/** `unknown` where it cannot be told from here: the process of another container, or of another host. */
export function livenessOf(
  other: ProcessIdentity,
  own: ProcessIdentity = ownIdentity(),
): 'alive' | 'dead' | 'unknown' {
  // Two hosts may have one name, and two containers one host.
  if (other.host !== own.host || other.boot !== own.boot) return 'unknown';
  if (other.pidNamespace !== own.pidNamespace) return 'unknown';
  if (!exists(other.pid)) return 'dead';
  const stat = statOf(other.pid);
  if (stat === undefined || other.started === undefined) return 'unknown';
  return stat.started === other.started && !stat.isOver ? 'alive' : 'dead';
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCodeOf(error) !== 'ESRCH';
  }
}

/** Undefined where this system does not tell. Source: proc(5), `/proc/pid/stat`. */
function statOf(pid: number): { started: string; isOver: boolean } | undefined {
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (stat === undefined) return undefined;
  // The name of the program is in parentheses and may have any character; the state comes next, as field 3.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state, started] = [fields[0], fields[22 - 3]];
  // Killed, but its parent did not take note yet.
  return started === undefined ? undefined : { started, isOver: state === 'Z' || state === 'X' };
}

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
