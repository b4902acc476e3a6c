import { request } from 'node:http';
import { text } from 'node:stream/consumers';

/** A membrane as the registry shows it. */
export interface Seen {
  readonly id: string;
  readonly parent: string | null;
  readonly incarnation: number;
  readonly registered_at: number;
  readonly last_heartbeat: number;
  readonly [field: string]: unknown;
}

/** Everybody of a namespace, without the help of the command. */
export async function membranesAt(url: string, namespace = 'default'): Promise<Seen[]> {
  return (await get(`${url}/list?namespace=${namespace}`)) as Seen[];
}

export async function idsAt(url: string): Promise<string[]> {
  return (await membranesAt(url)).map(({ id }) => id);
}

/** Undefined where it is not registered. */
export async function membraneAt(url: string, id: string): Promise<Seen | undefined> {
  return (await membranesAt(url)).find((membrane) => membrane.id === id);
}

/** Asks an operator's change of a membrane, without the help of the command. */
export async function changeAt(
  url: string,
  { id, verb, ...body }: { id: string; verb: string; [field: string]: unknown },
): Promise<void> {
  await call(`${url}/membranes/${id}/${verb}`, body);
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
  await call(`${url}/register`, {
    endpoint: `/run/${membrane.id}`,
    communication_mode: 'ipc',
    ...membrane,
  });
}

async function get(url: string): Promise<unknown> {
  return call(url, undefined);
}

/** A `fetch` whose server is killed at the wrong moment may never settle in Node 20. */
function call(url: string, body: object | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const method = body === undefined ? 'GET' : 'POST';
    const sent = request(url, { method, headers, agent: false }, (response) => {
      text(response).then((answer) => {
        if (response.statusCode === 200) resolve(JSON.parse(answer));
        else reject(new Error(answer));
      }, reject);
    });
    sent.on('error', reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
