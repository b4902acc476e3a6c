import { spawn } from 'node:child_process';
import type { Message } from '@membrane/client';
import { formatPayload, type Output } from './output.js';

/** What a command may print as its reply. */
const MAX_REPLY_BYTES = 1024 * 1024;

/**
 * Runs a shell command for a message: its payload on standard input (a text as it is, anything else as JSON), what is
 * known of it in MEMBRANE_MESSAGE_… variables.
 * @returns what it printed, as a text without the last line break; undefined where that is nothing.
 * @throws Error where it did not exit by 0: the message is tried again.
 */
export function runForMessage(
  command: string,
  message: Message,
  output: Output,
): Promise<string | undefined> {
  const child = spawn(command, {
    shell: true,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...describe(message) },
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_REPLY_BYTES) chunks.push(chunk);
  });
  // Whether it reads what it is given is its own affair.
  child.stdin.on('error', () => undefined);
  child.stdin.end(formatPayload(message.payload, { ...output, isTerminal: false }));
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

function describe({ id, sender, type, stream, correlationId }: Message): Record<string, string> {
  return {
    MEMBRANE_MESSAGE_ID: id,
    MEMBRANE_MESSAGE_SENDER: sender,
    MEMBRANE_MESSAGE_TYPE: type ?? '',
    MEMBRANE_MESSAGE_STREAM: stream ?? '',
    MEMBRANE_MESSAGE_CORRELATION_ID: correlationId ?? '',
  };
}
