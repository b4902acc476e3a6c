import type { MembraneChange } from '@membrane/client';
import { describeChange } from '../src/describe-change.js';

const change = (event: string, more: object = {}): MembraneChange =>
  ({
    ...{ revision: 7, event, id: 'oven', namespace: 'default', instanceId: 'default', timestamp: 1 },
    ...more,
  }) as MembraneChange;

const within = (...ancestors: string[]): object => ({ ancestors });

describe('a change in words', () => {
  it.each([
    ['registered', { after: within('kitchen', 'house') }, 'below kitchen'],
    ['registered', { after: within() }, 'a root'],
    ['unhealthy', { before: within('kitchen'), after: within('kitchen') }, 'below kitchen'],
    [
      'updated',
      { after: within(), record: { communicationMode: 'network', endpoint: 'http://10.0.0.7' } },
      'a root, network http://10.0.0.7',
    ],
    ['moved', { before: within('kitchen', 'house'), after: within('hall') }, 'kitchen -> hall'],
    ['moved', { before: within('kitchen'), after: within() }, 'kitchen -> (top)'],
    ['moved', { after: within('hall', 'house') }, 'came along, below hall'],
    ['draining', { record: { drain: { reason: 'new kernel' } } }, 'new kernel'],
    ['draining', { record: { drain: { reason: null } } }, 'no reason given'],
    ['expired', { before: within('kitchen') }, 'was below kitchen'],
    ['deregistered', { before: within() }, 'was a root'],
    ['preservation_started', { preservation: { n: 40, s: 30 } }, '30 of 40 silent'],
    ['preservation_ended', { preservation: { n: 40, s: 3 } }, '3 of 40 silent'],
    ['dissolved', { after: { ...within('house'), heir: 'house' } }, 'children to house'],
    ['dissolved', { after: { ...within(), heir: null } }, 'children are roots'],
    [
      'dissolved',
      { after: { ...within('house'), heir: 'house', heirs: { oven: 'hall', sink: 'bath' } } },
      'oven to hall, sink to bath, other children to house',
    ],
  ])('%s: %j', (event, more, words) => {
    expect(describeChange(change(event, more))).toBe(words);
  });

  it('names no more heirs than a line has room for', () => {
    const heirs = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`job-${index}`, 'worker']));
    const words = describeChange(change('dissolved', { after: { ...within(), heir: null, heirs } }));
    expect(words).toMatch(/^job-0 to worker, .*job-7 to worker, 92 more, other children are roots$/);
  });

  it('tells of an event that it does not know what there is to tell', () => {
    expect(describeChange(change('painted', { color: 'red', coats: 2 }))).toBe('color "red", coats 2');
    expect(describeChange(change('painted', { after: within('house'), color: '\u001b[2J' }))).toBe(
      'below house, color "\\u001b[2J"',
    );
    expect(describeChange(change('blessed'))).toBe('');
  });

  it('leaves nothing that moves the cursor', () => {
    const record = { drain: { reason: '\u001b[2Jgone' } };
    expect(describeChange(change('draining', { record }))).not.toContain('\u001b');
  });
});
