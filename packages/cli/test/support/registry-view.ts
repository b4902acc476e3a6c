/** A membrane as the registry shows it. */
export interface Seen {
  readonly id: string;
  readonly parent: string | null;
  readonly incarnation: number;
  readonly registered_at: number;
  readonly last_heartbeat: number;
  readonly [field: string]: unknown;
}

/** Everybody of the default namespace, without the help of the command. */
export async function membranesAt(url: string): Promise<Seen[]> {
  return (await get(`${url}/list`)) as Seen[];
}

export async function idsAt(url: string): Promise<string[]> {
  return (await membranesAt(url)).map(({ id }) => id);
}

/** Undefined where it is not registered. */
export async function membraneAt(url: string, id: string): Promise<Seen | undefined> {
  return (await membranesAt(url)).find((membrane) => membrane.id === id);
}

/** The names of what happened to a membrane so far. */
export async function eventsOf(url: string, id: string): Promise<string[]> {
  const events = (await get(`${url}/events?membrane=${id}`)) as { event: string }[];
  return events.map(({ event }) => event);
}

/** Registers without the help of the command. */
export async function registerAt(
  url: string,
  membrane: { id: string; [field: string]: unknown },
): Promise<void> {
  const response = await fetch(`${url}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ endpoint: `/run/${membrane.id}`, communication_mode: 'ipc', ...membrane }),
  });
  if (!response.ok) throw new Error(await response.text());
}

async function get(url: string): Promise<unknown> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}
