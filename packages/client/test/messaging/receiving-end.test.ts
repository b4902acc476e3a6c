import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { makeInbox } from '../../src/endpoint.js';
import { Realms } from '../../src/messaging/realms.js';
import { ReceivingEnd } from '../../src/messaging/receiving-end.js';
import { parseClientOptions } from '../../src/options.js';
import { FakeTaker } from '../support/fake-taker.js';
import { useTemporaryDirectories } from '../support/temporary-directory.js';

const makeDirectory = useTemporaryDirectories();

async function begin() {
  const directory = await makeDirectory();
  const options = parseClientOptions('oven', {
    sharedRoot: join(directory, 'shared'),
    socketDirectory: join(directory, 'sockets'),
    modes: ['shared-volume'],
  });
  const end = new ReceivingEnd({
    options,
    taker: new FakeTaker(),
    realms: new Realms(options),
    clock: systemClock,
    registryUrl: () => 'http://127.0.0.1:1',
    onFailure: () => undefined,
  });
  return { end, claims: async () => readdir(join(await makeInbox(options), 'cur')) };
}

it('an inbox directory is a maildir as soon as others may hear of it', async () => {
  const { end } = await begin();
  const [endpoint] = await end.open('default');
  expect(endpoint?.mode).toBe('shared-volume');
  expect((await readdir(endpoint?.address ?? '')).sort()).toEqual(['cur', 'dead', 'new', 'tmp']);
});

describe('the reading of an inbox directory', () => {
  it('that is ended while it begins leaves no reader behind', async () => {
    const { end, claims } = await begin();
    const reading = end.readVolume('default');
    await end.close();
    await reading;
    expect(await claims()).toEqual([]);
  });

  it('can be begun again', async () => {
    const { end, claims } = await begin();
    await Promise.all([end.readVolume('default'), end.stopReading(), end.readVolume('default')]);
    expect(await claims()).toHaveLength(1);
    await end.close();
    expect(await claims()).toEqual([]);
  });
});
