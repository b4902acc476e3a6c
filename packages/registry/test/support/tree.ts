import type { MembraneTree } from '@membrane/protocol';
import type { RegistryCore } from './registry-core.js';

/** Only ids: `a(b c(d))`. */
export function outline(trees: readonly MembraneTree[]): string {
  return trees
    .map(({ id, children }) => (children.length === 0 ? id : `${id}(${outline(children)})`))
    .join(' ');
}

export function forestOf(core: RegistryCore, depth?: number): MembraneTree[] {
  return JSON.parse([...core.tree.tree(undefined, { depth })].join('')) as MembraneTree[];
}

export function treeOf(core: RegistryCore, id: string, depth?: number): MembraneTree {
  return JSON.parse([...core.tree.tree(id, { depth })].join('')) as MembraneTree;
}
