import { spawn, type ChildProcess } from 'node:child_process';
import type { Message } from '@membrane/client';
import { formatPayload } from './output.js';

/** What a command may print as its reply. */
const MAX_REPLY_BYTES = 1024 * 1024;

/** How long a command may take to end once it is told to. */
const END_GRACE_MS = 1_000;

/**
 * Runs a shell command for a message: its payload on standard input (a text as it is, anything else as JSON), what is
 * known of it in MEMBRANE_MESSAGE_… variables. The signal has it ended by SIGTERM, and by SIGKILL a second later, with
 * all that it started.
 * @returns what it printed, as a text without the last line break; undefined where that is nothing.
 * @throws Error where it did not exit by 0: the message is tried again.
 */
export async function runForMessage(
  command: string,
  message: Message,
  signal: AbortSignal,
): Promise<string | undefined> {
  const child = spawn(command, {
    shell: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...describe(message) },
    // A process group of its own, which can be ended as a whole.
    detached: true,
  });
  const endSoon = endWith(child, signal);
  try {
    // Whether it reads what it is given is its own affair.
    child.stdin.on('error', () => undefined);
    child.stdin.end(formatPayload(message.payload, { isTerminal: false }));
    return await readReply(child);
  } finally {
    endSoon.cancel();
  }
}

function readReply(child: ChildProcess): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_REPLY_BYTES) chunks.push(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code !== 0) {
        reject(new Error(`the command ended by ${signal ?? `exit code ${String(code)}`}`));
      } else if (bytes > MAX_REPLY_BYTES) {
        reject(new Error(`the command printed more than ${MAX_REPLY_BYTES} bytes`));
      } else {
        const text = Buffer.concat(chunks)
          .toString('utf8')
          .replace(/\r?\n$/, '');
        resolve(text === '' ? undefined : text);
      }
    });
  });
}

function endWith(child: ChildProcess, signal: AbortSignal): { cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    signalGroup(child, 'SIGTERM');
    timer = setTimeout(() => {
      signalGroup(child, 'SIGKILL');
    }, END_GRACE_MS);
  };
  signal.addEventListener('abort', end);
  return {
    cancel: () => {
      signal.removeEventListener('abort', end);
      clearTimeout(timer);
    },
  };
}

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  // Without a pid it never started.
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // It is gone.
  }
}

function describe({ id, sender, type, stream, correlationId }: Message): Record<string, string> {
  return {
    MEMBRANE_MESSAGE_ID: id,
    MEMBRANE_MESSAGE_SENDER: sender,
    MEMBRANE_MESSAGE_TYPE: type ?? '',
    MEMBRANE_MESSAGE_STREAM: stream ?? '',
    MEMBRANE_MESSAGE_CORRELATION_ID: correlationId ?? '',
  };
}
