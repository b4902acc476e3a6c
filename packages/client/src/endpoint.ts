import { access, constants, mkdir } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { DEFAULT_NAMESPACE, MembraneError, type CommunicationMode } from '@membrane/protocol';

/** The shared volume of a container, by convention. */
export const DEFAULT_SHARED_ROOT = '/opt/membrane/communication';

export interface EndpointRequest {
  readonly id: string;
  readonly namespace: string;
  readonly endpoint: string | undefined;
  readonly communicationMode: CommunicationMode;
  /** False where nobody chose the mode: then an endpoint that is a URL does. */
  readonly isModeChosen: boolean;
  readonly sharedRoot: string | undefined;
}

export interface ResolvedEndpoint {
  readonly endpoint: string;
  readonly communicationMode: CommunicationMode;
}

/**
 * How a membrane can be reached: as it says itself, or by an inbox on the shared volume, which is made.
 * @throws MembraneError `invalid_request` where the mode needs an address and has none, or the inbox cannot be made.
 */
export async function resolveEndpoint(request: EndpointRequest): Promise<ResolvedEndpoint> {
  const { endpoint, communicationMode } = request;
  if (endpoint !== undefined) {
    const isUrl = /^https?:\/\//i.test(endpoint);
    return { endpoint, communicationMode: !request.isModeChosen && isUrl ? 'network' : communicationMode };
  }
  if (communicationMode !== 'shared-volume') {
    const example = communicationMode === 'network' ? 'http://10.0.0.7:8080' : '/run/oven.sock';
    throw new MembraneError(
      'invalid_request',
      `endpoint must be given with the mode "${communicationMode}", as "${example}"`,
    );
  }
  const inbox = resolve(await findSharedRoot(request), 'inbox', request.id);
  try {
    await mkdir(inbox, { recursive: true });
  } catch (cause) {
    throw new MembraneError(
      'invalid_request',
      `the inbox ${inbox} cannot be made (${(cause as Error).message}); name another directory by sharedRoot or MEMBRANE_SHARED_ROOT`,
      { cause },
    );
  }
  return { endpoint: inbox, communicationMode };
}

/** Names are unique within a namespace, so every namespace but the default one has a part of its own. */
async function findSharedRoot({ sharedRoot, namespace }: EndpointRequest): Promise<string> {
  const root = sharedRoot ?? ((await canWrite(DEFAULT_SHARED_ROOT)) ? DEFAULT_SHARED_ROOT : userRoot());
  return namespace === DEFAULT_NAMESPACE ? root : join(root, 'namespaces', namespace);
}

/** https://specifications.freedesktop.org/basedir-spec/latest/ */
function userRoot(): string {
  return join(
    process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state'),
    'membrane',
    'communication',
  );
}

async function canWrite(directory: string): Promise<boolean> {
  return access(directory, constants.W_OK).then(
    () => true,
    () => false,
  );
}
