import { planRoutes, type Reachable } from '../../src/messaging/route-planner.js';

const OWN = { ipc: 'sockets-1', network: 'default', 'shared-volume': 'volume-1' };

function receiver(given: Partial<Reachable>): Reachable {
  return {
    id: 'oven',
    instanceId: 'default',
    endpoint: '/shared/inbox/oven',
    communicationMode: 'shared-volume',
    endpoints: [],
    relay: false,
    status: 'active',
    ...given,
  };
}

const ALL = [
  { mode: 'shared-volume', address: '/shared/inbox/oven', realm: 'volume-1' },
  { mode: 'network', address: 'http://10.0.0.5:4000', realm: 'default' },
  { mode: 'ipc', address: '/run/oven.sock', realm: 'sockets-1' },
] as const;

const kindsOf = ({ routes }: ReturnType<typeof planRoutes>): string[] => routes.map(({ kind }) => kind);

describe('a plan', () => {
  it('takes what both share: ipc first, then the network, then the shared volume', () => {
    expect(kindsOf(planRoutes(OWN, receiver({ endpoints: [...ALL] })))).toEqual([
      'ipc',
      'network',
      'shared-volume',
    ]);
  });

  it('leaves out what is in another realm, or unused here, and says why', () => {
    const elsewhere = { network: 'default', ipc: 'sockets-2' };
    const plan = planRoutes(elsewhere, receiver({ endpoints: [...ALL] }));
    expect(kindsOf(plan)).toEqual(['network']);
    expect(plan.skipped.map(({ route, result, reason }) => [route, result, reason])).toEqual([
      ['ipc', 'skipped', 'not shared: another realm'],
      ['shared-volume', 'skipped', 'this client does not use shared-volume'],
    ]);
  });

  it('knows older registrations, which have one endpoint and no realm', () => {
    const older = receiver({ endpoint: 'http://10.0.0.7:8080', communicationMode: 'network' });
    expect(planRoutes(OWN, older).routes).toMatchObject([
      { kind: 'network', address: 'http://10.0.0.7:8080' },
    ]);
    expect(kindsOf(planRoutes({ ...OWN, network: 'backstage' }, older))).toEqual([]);
  });

  it('tells which endpoints named the realm that is shared', () => {
    const named = planRoutes(OWN, receiver({ endpoints: [ALL[0]] }));
    expect(named.routes).toMatchObject([{ kind: 'shared-volume', isRealmNamed: true }]);
    const older = planRoutes(OWN, receiver({ endpoint: '/nowhere/here/inbox/oven' }));
    expect(older.routes).toMatchObject([{ kind: 'shared-volume', isRealmNamed: false }]);
  });

  it('counts a primary endpoint once', () => {
    expect(planRoutes(OWN, receiver({ endpoints: [ALL[0]] })).routes).toHaveLength(1);
  });
});
