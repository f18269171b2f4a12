import { TestServer } from '../support/test-server.ts';
import { join, refusal, type Victim } from './people.ts';

describe('a server that moves records', () => {
  let server: TestServer;
  let alice: Victim;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await join(server, 'Alice');
    await alice.device.storage.put('notes', 'first', { text: 'the first' });
    await alice.device.storage.put('notes', 'second', { text: 'the second' });
    await alice.device.storage.put('tasks', 'first', { text: 'a task' });
  });
  afterAll(() => server.stop());
  afterEach(() => {
    alice.liar.repent();
  });

  async function payloadOf(collection: string, id: string): Promise<string> {
    const { records } = await alice.device.storage.raw(collection);
    return records.find((record) => record.id === id)?.payload ?? '';
  }

  it('is believed when it does not', async () => {
    const found = await alice.device.storage.get('notes', 'first');
    expect(found?.value).toEqual({ text: 'the first' });
  });

  it('is found out when a record is replayed into another collection', async () => {
    const payload = await payloadOf('notes', 'first');
    alice.liar.alter('GET', /\/storage\/tasks\/first$/, (answer) => ({ ...answer, payload }));
    await expect(alice.device.storage.get('tasks', 'first')).rejects.toMatchObject(
      refusal('RECORD_FORGED'),
    );
  });

  it('is found out when a record is replayed under another id', async () => {
    const payload = await payloadOf('notes', 'second');
    alice.liar.alter('GET', /\/storage\/notes\/first$/, (answer) => ({ ...answer, payload }));
    await expect(alice.device.storage.get('notes', 'first')).rejects.toMatchObject(
      refusal('RECORD_FORGED'),
    );
  });

  it('is found out when a record is one of another user', async () => {
    const bob = await join(server, 'Bob');
    await bob.device.storage.put('notes', 'first', { text: 'a note of Bob' });
    const { records } = await bob.device.storage.raw('notes');
    alice.liar.alter('GET', /\/storage\/notes\/first$/, (answer) => ({
      ...answer,
      payload: records[0]?.payload,
    }));
    await expect(alice.device.storage.get('notes', 'first')).rejects.toMatchObject(
      refusal('RECORD_FORGED'),
    );
  });

  it('is found out when a record is invented', async () => {
    const payload = JSON.stringify({ text: 'an invention' });
    alice.liar.alter('GET', /\/storage\/notes\/first$/, (answer) => ({ ...answer, payload }));
    await expect(alice.device.storage.get('notes', 'first')).rejects.toMatchObject(
      refusal('RECORD_FORGED'),
    );
  });

  it('cannot keep the other records from being read', async () => {
    alice.liar.alter('GET', /\/storage\/notes$/, (answer) =>
      answer.map((bso: { id: string }) => (bso.id === 'first' ? { ...bso, payload: '{}' } : bso)),
    );
    const { records, refused } = await alice.device.storage.records('notes');
    expect(records.map(({ id }) => id)).toEqual(['second']);
    expect(refused).toMatchObject([{ id: 'first', error: refusal('RECORD_FORGED') }]);
  });
});
