import { SessionBook } from '../../src/messaging/session-book.js';
import { FakeClock } from '../support/fake-clock.js';

const begin = () => new SessionBook({ clock: new FakeClock(), begin: () => undefined });

describe('what is remembered of the senders', () => {
  it('is bounded in sessions: the least recently heard of goes first', () => {
    const book = begin();
    for (let session = 0; session < 10_000; session += 1) book.stream(`s${session}`, 'a', 1);
    book.window('s0');
    book.window('new');
    expect(book.known('s0', 'a')).toBeDefined();
    expect(book.known('s1', 'a')).toBeUndefined();
    expect(book.known('s2', 'a')).toBeDefined();
  });

  it('is bounded in streams of all sessions together', () => {
    const book = begin();
    for (let session = 0; session < 100; session += 1) {
      for (let stream = 0; stream < 1_000; stream += 1) book.stream(`s${session}`, `t${stream}`, 1);
    }
    book.stream('s0', 't0', 1);
    book.stream('new', 'a', 1);
    expect(book.known('new', 'a')).toBeDefined();
    // The session that was heard of last keeps all of its streams.
    const kept = (session: string): number =>
      Array.from({ length: 1_000 }, (_, stream) => book.known(session, `t${stream}`)).filter(Boolean).length;
    expect([kept('s0'), kept('s1'), kept('s2')]).toEqual([1_000, 999, 1_000]);
  });

  it('keeps what holds messages', () => {
    const book = begin();
    const busy = book.stream('busy', 'a', 1);
    busy.hold({ sequence: 2, takenAtMs: 0, expiresAtMs: Number.POSITIVE_INFINITY, isKept: false });
    for (let session = 0; session < 20_000; session += 1) book.stream(`s${session}`, 'a', 1);
    expect(book.known('busy', 'a')).toBe(busy);
  });
});
