import type { MembraneTree } from '@membrane/protocol';
import type { RegistryCore } from './registry-core.js';

/** Only ids: `a(b c(d))`. */
export function outline(trees: readonly MembraneTree[]): string {
  return trees
    .map(({ id, children }) => (children.length === 0 ? id : `${id}(${outline(children)})`))
    .join(' ');
}

export async function forestOf(core: RegistryCore, depth?: number): Promise<MembraneTree[]> {
  return JSON.parse([...(await core.tree.tree(undefined, { depth })).pieces].join('')) as MembraneTree[];
}

export async function treeOf(core: RegistryCore, id: string, depth?: number): Promise<MembraneTree> {
  return JSON.parse([...(await core.tree.tree(id, { depth })).pieces].join('')) as MembraneTree;
}
