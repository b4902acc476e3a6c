import { MembraneError, type JsonValue } from '@membrane/protocol';
import type { KnownEnvelope } from './message.js';

/** What became of a message, told by its receiver without a word of the program: who does not wait need not know. */
export const RESULT_TYPE = 'membrane.result';
export const FAILURE_TYPE = 'membrane.failure';
/** What a program answers by `reply()`: who does not wait for it gets it as any other message. */
export const REPLY_TYPE = 'membrane.reply';

/** Replies that somebody waits for, by the id of the message that they answer. */
export class ReplyBook {
  readonly #waiting = new Map<string, (reply: Promise<JsonValue | undefined>) => void>();

  /** Resolves with the reply; undefined where the handler gave none. Give the wait up with `forget`. */
  wait(messageId: string): Promise<JsonValue | undefined> {
    return new Promise((resolve) => this.#waiting.set(messageId, resolve));
  }

  forget(messageId: string): void {
    this.#waiting.delete(messageId);
  }

  /** True where the envelope is for whoever waits for it, or would be if there were one: nobody else is to handle it. */
  take({ type, correlation_id: messageId, payload }: KnownEnvelope): boolean {
    if (messageId == null) return false;
    const settle = this.#waiting.get(messageId);
    if (settle === undefined) return type === RESULT_TYPE || type === FAILURE_TYPE;
    this.#waiting.delete(messageId);
    settle(type === FAILURE_TYPE ? Promise.reject(toFailure(payload)) : Promise.resolve(payload));
    return true;
  }
}

function toFailure(payload: JsonValue): MembraneError {
  const detail = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return new MembraneError('handler_failed', detail);
}
