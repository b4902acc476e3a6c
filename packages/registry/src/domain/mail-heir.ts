import type { Envelope } from '@membrane/protocol';
import type { MailView } from './mail.js';
import type { StateView } from './state-view.js';

/**
 * Where messages for an id that was dissolved go, or null where nobody gets them: to its heir, or to one on the way
 * there whose own messages still wait to be moved, so that none overtakes them.
 */
export function mailHeirOf(view: StateView, namespace: string, id: string): string | null {
  let first: string | undefined;
  let heir = id;
  for (let node = view.node(namespace, id); node?.tombstone != null; node = view.node(namespace, heir)) {
    const { mailHeir } = node.tombstone;
    if (mailHeir === null) return null;
    if (heir !== id && (view.mail.box(namespace, heir)?.waiting.size ?? 0) > 0) first ??= heir;
    heir = mailHeir;
  }
  return view.node(namespace, heir) === undefined ? null : (first ?? heir);
}

/**
 * The envelope for another receiver. Its place among those of its session counts by receiver, so it has none there,
 * and neither the instance nor the incarnation that it was meant for.
 */
export function readdress<Kept extends Envelope>(envelope: Kept, target: string): Kept {
  const {
    session: _session,
    sequence: _sequence,
    floor: _floor,
    instance_id: _instance,
    incarnation: _incarnation,
    ...kept
  } = envelope;
  return { ...(kept as Kept), target };
}

/** True where a message of this id is in a box, or was not long ago. */
export function isKnownMail(mail: MailView, namespace: string, id: string, messageId: string): boolean {
  const box = mail.box(namespace, id);
  return (
    box?.waiting.has(messageId) === true ||
    box?.dead.has(messageId) === true ||
    mail.wasThere(namespace, id, messageId)
  );
}
