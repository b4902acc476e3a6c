import { createNamespaceClient, type NamespaceClient } from '../../src/namespace-client.js';

/** Who is registered, as a client of its own sees it. */
export function idsAt(url: string): Promise<string[]> {
  return ask(url, async (client) => (await client.listMembranes()).map(({ id }) => id));
}

/** What happened to a membrane so far. */
export function journalOf(url: string, id: string) {
  return ask(url, (client) => client.registry.events({ membrane: id }));
}

async function ask<Answer>(
  url: string,
  question: (client: NamespaceClient) => Promise<Answer>,
): Promise<Answer> {
  const client = createNamespaceClient('asker', { registryUrl: url });
  try {
    return await question(client);
  } finally {
    await client.close();
  }
}
