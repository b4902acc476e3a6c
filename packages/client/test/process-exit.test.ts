import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { eventually } from './support/eventually.js';
import { useProcesses } from './support/processes.js';
import { journalOf } from './support/registry-view.js';
import { useTemporaryDirectories } from './support/temporary-directory.js';

const { start, startRegistry } = useProcesses();
const makeDirectory = useTemporaryDirectories();

const AUTO = new URL('../dist/auto.js', import.meta.url).href;
const CLIENT = new URL('../dist/index.js', import.meta.url).href;
const SIGNAL_EXIT = createRequire(import.meta.url).resolve('signal-exit');

async function startRegistered(code: string) {
  const { url } = await startRegistry();
  const eventsOf = async (id: string): Promise<string[]> =>
    (await journalOf(url, id)).map(({ event }) => event);
  const args = [
    '--import',
    AUTO,
    '--input-type=module',
    '-e',
    `${code}\nprocess.stdin.resume();\nconsole.error('up');`,
  ];
  const app = start(process.execPath, args, {
    environment: {
      MEMBRANE_REGISTRY_URL: url,
      MEMBRANE_ID: 'oven',
      MEMBRANE_SHARED_ROOT: await makeDirectory(),
    },
  });
  // It registers while it starts: what it handles, it handles when it is up.
  await eventually('it is up', () => app.said.stderr.includes('up\n'));
  await eventually('it is registered', async () => (await eventsOf('oven')).includes('registered'));
  return { app, eventsOf };
}

describe('the end of a process that registered by itself', () => {
  it('is left to a program that handles a signal once', async () => {
    const { app, eventsOf } = await startRegistered(`
      process.once('SIGTERM', () => {
        console.log('ending');
        setTimeout(() => { console.log('ended'); process.exit(3); }, 1000);
      });`);
    app.child.kill('SIGTERM');
    expect(await app.ended).toBe(3);
    expect(app.said.stdout).toBe('ending\nended\n');
    expect(await eventsOf('oven')).toEqual(['registered']);
  });

  it('comes beside a library that only tidies up at a signal', async () => {
    const { app, eventsOf } = await startRegistered(`
      import { writeSync } from 'node:fs';
      import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
      const signalExit = createRequire('/')(${JSON.stringify(SIGNAL_EXIT)});
      (signalExit.onExit ?? signalExit)(() => writeSync(1, 'tidied up'));`);
    app.child.kill('SIGTERM');
    expect(await app.ended).toBe('SIGTERM');
    expect(app.said.stdout).toBe('tidied up');
    expect(await eventsOf('oven')).toEqual(['registered', 'deregistered']);
  });

  it('comes beside a second copy of this library', async () => {
    // Within the package, where its dependencies are found.
    const copy = new URL('../test-output/copy/', import.meta.url);
    await cp(new URL('../dist/', import.meta.url), copy, { recursive: true });
    const { app, eventsOf } = await startRegistered(`
      const { createNamespaceClient } = await import(${JSON.stringify(new URL('index.js', copy).href)});
      createNamespaceClient('lamp').autoRegister();`);
    await eventually('both are registered', async () => (await eventsOf('lamp')).includes('registered'));
    app.child.kill('SIGINT');
    expect(await app.ended).toBe('SIGINT');
    expect(await eventsOf('oven')).toEqual(['registered', 'deregistered']);
    expect(await eventsOf('lamp')).toEqual(['registered', 'deregistered']);
  });

  it('comes once, however often it is asked for', async () => {
    const { app, eventsOf } = await startRegistered('');
    app.child.kill('SIGINT');
    app.child.kill('SIGINT');
    expect(await app.ended).toBe('SIGINT');
    expect(await eventsOf('oven')).toEqual(['registered', 'deregistered']);
  });

  it('is not brought forward by another client of the name, which never registered', async () => {
    const { app, eventsOf } = await startRegistered(`
      const { createNamespaceClient } = await import(${JSON.stringify(CLIENT)});
      await createNamespaceClient('oven').close();
      process.stdin.once('data', () => console.log(process.env.MEMBRANE_REGISTERED));`);
    app.child.stdin?.write('go\n');
    await eventually('it says who is registered', () => app.said.stdout.includes('default/oven/default'));
    expect(await eventsOf('oven')).toEqual(['registered']);
  });
});
