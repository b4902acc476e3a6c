import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CallRunner } from '../../src/http/call-runner.js';
import { streamText } from '../../src/http/text-stream.js';
import { eventually } from '../support/eventually.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A server that answers by this, and a request to it whose answer is not read. */
async function ask(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<IncomingMessage> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const outgoing = request({ port, host: '127.0.0.1', agent: false }).end();
  outgoing.on('error', () => undefined);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  incoming.on('error', () => undefined);
  return incoming;
}

describe('an answer in pieces', () => {
  it('that fails on the way is cut, so that nobody takes it for whole or waits for the rest', async () => {
    const errors: unknown[] = [];
    const runner = new CallRunner({
      revision: () => 'log:1',
      refusal: () => undefined,
      onError: (error) => errors.push(error),
    });
    function* pieces(): Iterable<string> {
      yield '[1';
      throw new Error('it went wrong');
    }
    const incoming = await ask((request, response) => {
      runner.answer(request, response, () => streamText(response, 'log:1', pieces()).then(() => undefined));
    });
    let text = '';
    incoming.on('data', (chunk: Buffer) => (text += chunk.toString()));
    await eventually('it is over', () => incoming.closed);
    expect([incoming.complete, text]).toEqual([false, '[1']);
    expect(errors).toEqual([expect.objectContaining({ message: 'it went wrong' })]);
  });

  it('that nobody reads is given up', async () => {
    let made = 0;
    function* pieces(): Iterable<string> {
      for (; made < 10_000; made += 1) yield 'x'.repeat(64 * 1024);
    }
    let ended: Promise<void> | undefined;
    let answering: ServerResponse | undefined;
    await ask((_, response) => {
      answering = response;
      ended = streamText(response, 'log:1', pieces(), { maxStallMs: 200 });
    });
    await ended;
    expect(answering?.destroyed).toBe(true);
    expect(made).toBeLessThan(10_000);
  });
});
