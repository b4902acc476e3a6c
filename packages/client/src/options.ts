import { DEFAULT_NAMESPACE, MembraneError, namespaceSchema } from '@membrane/protocol';

export interface ClientOptions {
  /** Where the registry is. Of several, separated by commas, the first is used. */
  registryUrl: string;
  /** Which namespace calls are about, where they name none. */
  namespace: string;
  /** How long a call may take, in milliseconds. Longer rides out a slow registry, shorter tells of one sooner. */
  timeoutMs: number;
}

export const DEFAULT_CLIENT_OPTIONS: Readonly<ClientOptions> = Object.freeze({
  registryUrl: 'http://127.0.0.1:8765',
  namespace: DEFAULT_NAMESPACE,
  timeoutMs: 10_000,
});

const MAX_TIMEOUT_MS = 24 * 60 * 60 * 1_000;

/**
 * Complete options: from code, then the environment, then the defaults. An empty variable is an unset one.
 * @throws MembraneError `invalid_request` that names the option or the variable, its value and what would be right.
 */
export function parseClientOptions(
  given: Partial<ClientOptions>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<ClientOptions> {
  const url = pick('registryUrl', given.registryUrl, 'MEMBRANE_REGISTRY_URL', environment);
  const namespace = pick('namespace', given.namespace, 'MEMBRANE_NAMESPACE', environment);
  const timeoutMs = given.timeoutMs ?? DEFAULT_CLIENT_OPTIONS.timeoutMs;
  if (!(timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS)) {
    throw new MembraneError(
      'invalid_request',
      `timeoutMs must be above 0 and at most a day; got ${timeoutMs}`,
    );
  }
  if (!namespaceSchema.safeParse(namespace.value).success) {
    const expectation = 'must be 1 to 63 letters, digits, ".", "_", ":" or "-"';
    throw new MembraneError(
      'invalid_request',
      `${namespace.source} ${expectation}; got "${namespace.value}"`,
    );
  }
  return Object.freeze({ registryUrl: parseUrl(url), namespace: namespace.value, timeoutMs });
}

interface Sourced {
  readonly source: string;
  readonly value: string;
}

function pick(
  option: 'registryUrl' | 'namespace',
  given: string | undefined,
  variable: string,
  environment: Readonly<Record<string, string | undefined>>,
): Sourced {
  if (given !== undefined) return { source: option, value: given };
  const value = environment[variable];
  if (value !== undefined && value !== '') return { source: variable, value };
  return { source: option, value: DEFAULT_CLIENT_OPTIONS[option] };
}

/** The URL without a slash at its end. */
function parseUrl({ source, value }: Sourced): string {
  const first = value.split(',')[0]?.trim() ?? '';
  const url = URL.canParse(first) ? new URL(first) : undefined;
  if (
    url === undefined ||
    !['http:', 'https:'].includes(url.protocol) ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    throw new MembraneError(
      'invalid_request',
      `${source} must be a URL as "http://127.0.0.1:8765"; got "${value}"`,
    );
  }
  return url.href.replace(/\/+$/, '');
}
