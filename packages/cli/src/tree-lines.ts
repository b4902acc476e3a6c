import { styleText } from 'node:util';
import type { MembraneTree } from '@membrane/client';
import { colorStatus, toPrintable, type Output } from './output.js';

/** Trees as lines of text, a membrane each: `house  active  network`. */
export function formatTrees(trees: readonly MembraneTree[], output: Output): string {
  const lines: string[] = [];
  for (const tree of trees) {
    lines.push(formatMembrane(tree, '', output));
    addChildren(lines, tree, '', output);
  }
  return lines.join('\n');
}

/** No deeper than the registry lets a tree be. */
function addChildren(lines: string[], { children }: MembraneTree, indentation: string, output: Output): void {
  for (const [index, child] of children.entries()) {
    const isLast = index === children.length - 1;
    lines.push(formatMembrane(child, `${indentation}${isLast ? '└── ' : '├── '}`, output));
    addChildren(lines, child, `${indentation}${isLast ? '    ' : '│   '}`, output);
  }
}

/** Id and status are always whole; on a terminal the rest has what room is left. */
function formatMembrane(tree: MembraneTree, branches: string, output: Output): string {
  const { id, status, counts, communicationMode } = tree;
  const instances = counts.active + counts.unhealthy + counts.draining;
  const name = instances > 1 ? `${id} ×${instances}` : id;
  const details = [...describeState(tree), communicationMode].join('  ');
  const room = output.width - `${branches}${name}  ${status}  `.length;
  const fitted = details.length <= room ? details : room > 1 ? `${details.slice(0, room - 1)}…` : '';
  return `${dim(branches, output)}${name}  ${colorStatus(status, output)}  ${fitted}`.trimEnd();
}

/** What the status of the primary instance does not say. */
function describeState({ status, counts, drain, parent, detached }: MembraneTree): string[] {
  const others = (['active', 'unhealthy', 'draining'] as const)
    .filter((one) => one !== status && counts[one] > 0)
    .map((one) => `${counts[one]} ${one}`);
  const reason = drain?.reason == null ? [] : [toPrintable(drain.reason)];
  // A drain goes on while it is silent.
  const drained =
    drain === undefined || status === 'draining' ? reason : [['draining', ...reason].join(': ')];
  return [
    ...(others.length === 0 ? [] : [`(${others.join(', ')})`]),
    ...drained.map((words) => `(${words})`),
    ...(detached ? [`(detached: ${parent ?? '-'} is absent)`] : []),
  ];
}

function dim(text: string, { isColored }: Output): string {
  return isColored && text !== '' ? styleText('dim', text, { validateStream: false }) : text;
}
