import { readFile } from 'node:fs/promises';
import { CommandError } from './command-error.js';
import { EXIT_CODES } from './exit-codes.js';

/** What stands for standard input; `-` on the command line. */
export const STANDARD_INPUT = '@-';

/**
 * The payload that a message on the command line stands for: its text, that of a file (`@path`), or of standard input
 * (`-`); as JSON where that is asked for.
 * @throws CommandError where it cannot be read, is no UTF-8, or is no JSON.
 */
export async function readPayload(message: string, isJson: boolean): Promise<unknown> {
  const { text, what } = await readText(message);
  if (!isJson) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`${what} must be JSON: ${reason}`, EXIT_CODES.usage, { cause });
  }
}

async function readText(message: string): Promise<{ text: string; what: string }> {
  if (message === STANDARD_INPUT)
    return { text: toText(await readAll(), 'standard input'), what: 'standard input' };
  if (message.startsWith('@@')) return { text: message.slice(1), what: 'the message' };
  if (!message.startsWith('@')) return { text: message, what: 'the message' };
  const path = message.slice(1);
  try {
    return { text: toText(await readFile(path), path), what: path };
  } catch (cause) {
    if (cause instanceof CommandError) throw cause;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    const hint = 'a text that begins with @ is written with @@';
    throw new CommandError(`the file "${path}" cannot be read (${code}); ${hint}`, EXIT_CODES.usage, {
      cause,
    });
  }
}

async function readAll(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function toText(bytes: Buffer, what: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new CommandError(`${what} must be text in UTF-8`, EXIT_CODES.usage, { cause });
  }
}
