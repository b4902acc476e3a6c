import { MembraneError, type JsonValue } from '@membrane/protocol';
import type { KnownEnvelope } from './message.js';

/** Types of the messages that say what became of another one. */
export const REPLY_TYPE = 'membrane.reply';
export const FAILURE_TYPE = 'membrane.failure';

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

  /** True where the envelope is a reply: nobody else is to handle it, be it late or not. */
  take({ type, correlation_id: messageId, payload }: KnownEnvelope): boolean {
    if (messageId == null || (type !== REPLY_TYPE && type !== FAILURE_TYPE)) return false;
    const settle = this.#waiting.get(messageId);
    this.#waiting.delete(messageId);
    settle?.(type === REPLY_TYPE ? Promise.resolve(payload) : Promise.reject(toFailure(payload)));
    return true;
  }
}

function toFailure(payload: JsonValue): MembraneError {
  const detail = typeof payload === 'string' ? payload : JSON.stringify(payload);
  return new MembraneError('handler_failed', detail);
}
