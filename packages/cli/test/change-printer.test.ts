import type { MembraneChange } from '@membrane/client';
import { ChangePrinter } from '../src/change-printer.js';
import type { Output } from '../src/output.js';

/** What a printer writes, for a terminal or for a pipe. */
function begin(view: Partial<Output> = {}, json = false) {
  const written: string[] = [];
  const output: Output = {
    ...{ isTerminal: false, isColored: false, width: Number.POSITIVE_INFINITY, data: () => undefined },
    write: (line) => Promise.resolve(void written.push(...line.split('\n'))),
    say: () => undefined,
    ...view,
  };
  return { written, printer: new ChangePrinter(output, { json }) };
}

const change = (event: string, more: object = {}): MembraneChange =>
  ({
    ...{ revision: 7, event, id: 'oven', namespace: 'default', instanceId: 'default', timestamp: 1.5 },
    ...more,
  }) as MembraneChange;

describe('changes', () => {
  it('are lines with tabs and the time of everywhere', async () => {
    const { printer, written } = begin();
    await printer.print([
      change('expired', { instanceId: 'left', before: { ancestors: ['kitchen'] } }),
      change('preservation_started', { id: '', preservation: { n: 40, s: 30 } }),
      change('\u001b[2Jnew', { id: '\u001b[2J' }),
    ]);
    expect(written).toEqual([
      '1970-01-01T00:00:01.500Z\texpired\toven (left)\twas below kitchen',
      '1970-01-01T00:00:01.500Z\tpreservation_started\t-\t30 of 40 silent',
      '1970-01-01T00:00:01.500Z\t\u{fffd}[2Jnew\t\u{fffd}[2J\t',
    ]);
  });

  it('stand below each other on a terminal, whole, with the titles once', async () => {
    const { printer, written } = begin({ isTerminal: true, width: 40 });
    const id = 'x'.repeat(60);
    await printer.print([change('registered', { after: { ancestors: [] } })]);
    await printer.print([change('moved', { id, before: { ancestors: [] }, after: { ancestors: ['hall'] } })]);
    expect(written).toEqual([
      expect.stringMatching(/^TIME {17}EVENT {9}ID {12}WHAT$/),
      expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:01 {2}registered {4}oven {10}a root$/),
      expect.stringMatching(new RegExp(`moved {9}${id} {2}\\(top\\) -> hall$`)),
    ]);
  });

  it('are the JSON of the wire where that is asked for', async () => {
    const { printer, written } = begin({}, true);
    await printer.print([change('moved'), change('dissolved')]);
    expect(written.map((line) => JSON.parse(line) as object)).toMatchObject([
      { event: 'moved', instance_id: 'default', timestamp: 1.5 },
      { event: 'dissolved' },
    ]);
  });
});
