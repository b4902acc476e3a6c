import type { JsonValue } from '@membrane/protocol';
import { systemClock } from '../../src/clock.js';
import type { MessageHandler } from '../../src/messaging/handler-group.js';
import { Handlers } from '../../src/messaging/handlers.js';
import { Inbox, type InboxLimits } from '../../src/messaging/inbox.js';
import type { Message } from '../../src/messaging/message.js';

export interface TestInboxOptions {
  readonly limits?: Partial<InboxLimits>;
  readonly concurrency?: number;
  /** After the message was noted. */
  readonly handler?: MessageHandler;
}

export interface TestInbox {
  readonly inbox: Inbox;
  /** What the handler got, in that order. */
  readonly handled: readonly Message[];
}

/** The inbox of a client, with one handler. */
export function createTestInbox({
  limits,
  concurrency = 16,
  handler = () => undefined,
}: TestInboxOptions = {}): TestInbox {
  const handlers = new Handlers({ concurrency });
  const inbox = new Inbox({
    handlers,
    clock: systemClock,
    random: Math.random,
    limits: { maxInboxMessages: 1_000, maxInboxBytes: 64 * 1024 * 1024, handlerTries: 3, ...limits },
  });
  const handled: Message[] = [];
  handlers.onMessage((message) => {
    handled.push(message);
    return handler(message);
  });
  return { inbox, handled };
}

export function payloadsOf(messages: readonly Message[]): JsonValue[] {
  return messages.map(({ payload }) => payload);
}

/** Holds handlers back until it is opened. */
export class Gate {
  readonly passed: Promise<void>;
  #open: () => void = () => undefined;

  constructor() {
    this.passed = new Promise((resolve) => (this.#open = resolve));
  }

  open(): void {
    this.#open();
  }
}
