import { access, constants } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  DEFAULT_INSTANCE_ID,
  DEFAULT_NAMESPACE,
  MembraneError,
  type CommunicationMode,
} from '@membrane/protocol';
import { makeDirectory } from './messaging/durable-files.js';

/** The shared volume of a container, by convention. */
export const DEFAULT_SHARED_ROOT = '/opt/membrane/communication';

/** One way to reach a membrane, as the registry has it. */
export interface Endpoint {
  readonly mode: CommunicationMode;
  readonly address: string;
  /** Undefined: of older clients, and of addresses that a program gave. */
  readonly realm?: string | undefined;
}

export interface EndpointRequest {
  /** An address that the program gives: it receives by itself. */
  readonly endpoint: string | undefined;
  readonly communicationMode: CommunicationMode;
  /** False where nobody chose the mode: then an endpoint that is a URL does. */
  readonly isModeChosen: boolean;
  /** Opens the receivers of this client; undefined where it has none. */
  readonly open: (() => Promise<readonly Endpoint[]>) | undefined;
  /** The directory that stands for the membrane on the shared volume. */
  readonly inbox: () => Promise<string>;
}

export interface ResolvedEndpoint {
  readonly endpoint: string;
  readonly communicationMode: CommunicationMode;
  readonly endpoints?: Endpoint[];
}

/** Which is the primary one, for older clients that know no other; they cannot send to a socket. */
const PRIMARY_ORDER: readonly CommunicationMode[] = ['shared-volume', 'network', 'ipc'];

/**
 * How a membrane can be reached: as the program says, or by what its client opens, the asked mode as the primary one.
 * @throws MembraneError `invalid_request` where the mode needs an address and has none, or the inbox cannot be made.
 */
export async function resolveEndpoint(request: EndpointRequest): Promise<ResolvedEndpoint> {
  const { endpoint, communicationMode, isModeChosen } = request;
  if (endpoint !== undefined) {
    const isUrl = /^https?:\/\//i.test(endpoint);
    return { endpoint, communicationMode: !isModeChosen && isUrl ? 'network' : communicationMode };
  }
  const endpoints = (await request.open?.()) ?? [];
  const order = isModeChosen ? [communicationMode] : PRIMARY_ORDER;
  for (const mode of order) {
    const primary = endpoints.find((candidate) => candidate.mode === mode);
    if (primary === undefined) continue;
    return { endpoint: primary.address, communicationMode: mode, endpoints: [...endpoints] };
  }
  if (communicationMode === 'shared-volume') return { endpoint: await request.inbox(), communicationMode };
  const example = communicationMode === 'network' ? 'http://10.0.0.7:8080' : '/run/oven.sock';
  throw new MembraneError(
    'invalid_request',
    `endpoint must be given with the mode "${communicationMode}" where this client does not receive by it, as "${example}"`,
  );
}

/** Whose inbox it is. */
export interface InboxOwner {
  readonly id: string;
  readonly namespace: string;
  readonly instanceId: string;
  readonly sharedRoot: string | undefined;
}

/** Where the inbox of a membrane on the shared volume is. Other instances than the default one have their own. */
export async function findInbox(owner: InboxOwner): Promise<string> {
  const { id, instanceId } = owner;
  const name = instanceId === DEFAULT_INSTANCE_ID ? id : `${id}@${instanceId}`;
  const { directory } = await locateSharedRoot(owner);
  return resolve(directory, namespacePart(owner), 'inbox', name);
}

/**
 * The same, which is made.
 * @throws MembraneError `invalid_request` where it cannot be made.
 */
export async function makeInbox(owner: InboxOwner): Promise<string> {
  const inbox = await findInbox(owner);
  const root = await locateSharedRoot(owner);
  try {
    await makeDirectory(root.directory, root);
    await makeDirectory(inbox);
  } catch (cause) {
    throw new MembraneError(
      'invalid_request',
      `the inbox ${inbox} cannot be made (${(cause as Error).message}); name another directory by sharedRoot or MEMBRANE_SHARED_ROOT`,
      { cause },
    );
  }
  return inbox;
}

export interface SharedRoot {
  readonly directory: string;
  /** Where it has to be made. Undefined: as the umask says, since who shares it is not known. */
  readonly mode: number | undefined;
}

/**
 * The directory that stands for the shared volume: the one that was named, the one of a container, or the user's, which
 * is nobody else's affair.
 */
export async function locateSharedRoot({ sharedRoot }: Pick<InboxOwner, 'sharedRoot'>): Promise<SharedRoot> {
  const shared = sharedRoot ?? ((await canWrite(DEFAULT_SHARED_ROOT)) ? DEFAULT_SHARED_ROOT : undefined);
  return shared === undefined
    ? { directory: resolve(userRoot()), mode: 0o700 }
    : { directory: resolve(shared), mode: undefined };
}

/** Names are unique within a namespace, so every namespace but the default one has a part of its own. */
function namespacePart({ namespace }: InboxOwner): string {
  return namespace === DEFAULT_NAMESPACE ? '' : join('namespaces', namespace);
}

/** https://specifications.freedesktop.org/basedir-spec/latest/ */
function userRoot(): string {
  try {
    const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
    return join(state, 'membrane', 'communication');
  } catch (cause) {
    throw new MembraneError(
      'invalid_request',
      'sharedRoot must be given, or MEMBRANE_SHARED_ROOT, since this user has no home directory (HOME, XDG_STATE_HOME)',
      { cause },
    );
  }
}

async function canWrite(directory: string): Promise<boolean> {
  return access(directory, constants.W_OK).then(
    () => true,
    () => false,
  );
}
