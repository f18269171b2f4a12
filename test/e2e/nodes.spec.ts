import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../support/cluster.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
});
afterAll(() => cluster.stop());

describe('a store that is moved while its client writes', () => {
  it('has every record that was acknowledged, at its time', async () => {
    const user = await cluster.user();
    const acknowledged = new Map<string, number>();
    const statuses = new Map<number, number>();
    let isOver = false;
    const write = async (name: string) => {
      let client = await user.connect();
      for (let i = 0; !isOver; i++) {
        const id = `${name}-${i % 300}`;
        const payload = `${i} ${'x'.repeat(200)}`;
        const answer = await client.put(`/storage/c${i % 3}/${id}`, { payload, sortindex: i });
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 200)
          acknowledged.set(`c${i % 3}/${id} ${payload}`, Number(answer.text));
        if (answer.status === 401) client = await user.connect();
        if (answer.status === 503) {
          expect(answer.headers['retry-after']).toBe('1');
          i -= 1;
          await pause(20);
        }
      }
    };
    const first = await user.connect();
    const from = cluster.nodes.indexOf(first.node);
    const to = 1 - from;
    const writers = ['a', 'b', 'c'].map(write);
    await pause(500);
    const moved = await cluster.moves.move(first.uid, cluster.names[to]);
    await pause(300);
    isOver = true;
    await Promise.all(writers);

    expect(moved).toMatchObject({ from: cluster.names[from], to: cluster.names[to] });
    const after = await user.connect();
    expect([after.uid, after.node]).toEqual([first.uid, cluster.nodes[to]]);
    const latest = new Map<string, { modified: number; payload: string }>();
    for (const collection of ['c0', 'c1', 'c2']) {
      for (const bso of (await after.get(`/storage/${collection}?full=1`)).json()) {
        latest.set(`${collection}/${bso.id}`, bso);
      }
    }
    // The last acknowledged write to each id is what there is.
    const expected = new Map<string, { modified: number; payload: string }>();
    for (const [text, modified] of acknowledged) {
      const [id = '', ...payload] = text.split(' ');
      const known = expected.get(id);
      if (!known || known.modified < modified) {
        expected.set(id, { modified, payload: payload.join(' ') });
      }
    }
    expect(latest.size).toBe(expected.size);
    for (const [id, { modified, payload }] of expected) {
      expect(latest.get(id)).toMatchObject({ modified, payload });
    }
    expect([...statuses.keys()].sort()).toEqual([200, 401, 503]);
    expect((await first.get('/info/collections')).status).toBe(401);
  });
});
