import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../support/eventually.js';
import { causesIn, useVolumes } from '../support/volumes.js';
import { describeTransport } from './transport.conformance.js';

const { makeVolume, openInbox, openTransport } = useVolumes();

describeTransport('a shared volume', async () => {
  const { root, directory, to } = await makeVolume();
  let intruders = 0;
  return {
    strongest: 'queued',
    tellsAccepted: false,
    to,
    receive: async (taker) => {
      const inbox = openInbox(directory, taker);
      await inbox.start();
      return { close: () => inbox.stop() };
    },
    connect: () => openTransport(root),
    intrude: async (bytes) => {
      intruders += 1;
      const temporary = join(directory, 'tmp', `garbage-${intruders}`);
      await writeFile(temporary, bytes);
      await rename(temporary, join(directory, 'new', `garbage-${intruders}.json`));
      const causes = await eventually('it is put aside', async () => {
        const found = await causesIn(directory);
        return found.length >= intruders && found;
      });
      expect(new Set(causes)).toEqual(new Set(['invalid_request']));
    },
    deadLetterCodes: () => causesIn(directory),
    place: { kind: 'volume', root, directory },
  };
});
