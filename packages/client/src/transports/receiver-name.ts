/** Whose messages a receiver takes. */
export interface ReceiverName {
  readonly namespace: string;
  readonly id: string;
  readonly instanceId: string;
}

/** Where a client's messages are taken on a listener that several share: names need no escape in a URL. */
export function receiverPath({ namespace, id, instanceId }: ReceiverName): string {
  return `/m/${namespace}/${id}/${instanceId}`;
}
