import type { MailView } from './mail.js';
import type { MembraneNode } from './membrane-node.js';

/** The tree as a decision sees it. */
export interface TreeView {
  node(namespace: string, id: string): MembraneNode | undefined;
  /** Ids of the nodes whose parent is `id`, whether or not `id` itself has a node. */
  childIds(namespace: string, id: string): Iterable<string>;
  /** Ids of the dissolved whose tombstone names `id` as an heir. */
  graveIds(namespace: string, id: string): Iterable<string>;
}

/** All that a decision sees. */
export interface StateView extends TreeView {
  readonly mail: MailView;
  /** Levels that `id` and what stands below it do not exceed; they may be fewer. */
  heightOf(namespace: string, id: string): number;
}
