import { fromBase64, generateKeyBundle, sealFormat5, toBase64, utf8 } from '#lib/crypto';
import { encryptFormat5 } from '../../libs/crypto/src/sync-format/format-5.ts';
import { MemoryRecords, type SyncTestDevice, Syncer } from '../support/sync-people.ts';
import { TestServer } from '../support/test-server.ts';
import { Liar } from './liar.ts';
import { refusal } from './people.ts';

interface Bso {
  id: string;
  modified: number;
  payload: string;
}

const ofNotes = /\/storage\/notes$/;
const ofMeta = /\/storage\/meta\/global$/;
const ofKeys = /\/storage\/crypto\/keys$/;
const ofInfo = /\/info\/collections$/;

describe('a server that lies to a client of the Firefox store', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.stop());

  /** Alice with two devices in step on one note; the victim hears of the server what the liar lets through. */
  async function victim() {
    const alice = await Syncer.signUp(server);
    const liar = new Liar();
    const phone = await alice.device('phone');
    const target = await alice.device('target', liar.fetch);
    phone.notes.edit('one', { text: 'first' });
    await sync(phone);
    await sync(target);
    const store = await alice.store();
    return { alice, liar, phone, target, store };
  }

  async function sync({ client, notes }: SyncTestDevice) {
    const [report] = (await client.sync([notes])).collections;
    if (!report) throw new Error('Nothing was synced.');
    return report;
  }

  /** Alters one record of the list; what the phone wrote last makes the victim ask. */
  async function altered(change: (bso: Bso, all: Bso[]) => Partial<Bso>) {
    const { liar, phone, target, ...more } = await victim();
    phone.notes.edit('one', { text: 'second' });
    phone.notes.edit('two', { text: 'another' });
    await sync(phone);
    liar.alter('GET', ofNotes, (all: Bso[]) =>
      all.map((bso) => (bso.id === 'one' ? { ...bso, ...change(bso, all) } : bso)),
    );
    const report = await sync(target);
    return { liar, phone, target, report, ...more };
  }

  const envelopeOf = ({ payload }: Bso) =>
    JSON.parse(payload) as { ciphertext: string; IV: string; hmac: string };
  const withByteFlipped = (text: string) => {
    const bytes = fromBase64(text);
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    return toBase64(bytes);
  };

  it.each([
    [
      'a ciphertext',
      (bso: Bso) => {
        const envelope = envelopeOf(bso);
        return { ...envelope, ciphertext: withByteFlipped(envelope.ciphertext) };
      },
    ],
    [
      'an IV',
      (bso: Bso) => {
        const envelope = envelopeOf(bso);
        return { ...envelope, IV: withByteFlipped(envelope.IV) };
      },
    ],
    ['an HMAC', (bso: Bso) => ({ ...envelopeOf(bso), hmac: '0'.repeat(64) })],
    ['everything', () => ({ id: 'one', text: 'in clear' })],
  ])('is found out when it changes %s, and the other records are read', async (_, change) => {
    const { report, target } = await altered((bso) => ({ payload: JSON.stringify(change(bso)) }));
    expect(report.refused).toMatchObject([{ id: 'one', error: refusal('SYNC_RECORD_FORGED') }]);
    expect(report.received).toEqual(['two']);
    expect(target.notes.all['one']).toEqual({ id: 'one', text: 'first' });
  });

  it('is believed again when it repents, and nothing is lost by what it did', async () => {
    const { liar, target, phone } = await altered(() => ({ payload: '{}' }));
    liar.repent();
    expect(await sync(target)).toMatchObject({ received: ['one'], refused: [], sent: [] });
    expect(target.notes.all).toEqual(phone.notes.all);
  });

  it('is found out when it shows a record under the id of another', async () => {
    const { report } = await altered((_, all) => ({
      payload: all.find(({ id }) => id === 'two')?.payload ?? '',
    }));
    expect(report.refused).toMatchObject([{ id: 'one', error: refusal('SYNC_RECORD_MISPLACED') }]);
  });

  it('is found out when it shows a record of another collection', async () => {
    const { alice, liar, phone, target } = await victim();
    const tasks = new MemoryRecords('tasks');
    tasks.edit('one', { text: 'a task' });
    await phone.client.sync([tasks]);
    const task = await (await alice.store()).get('tasks', 'one');
    phone.notes.edit('one', { text: 'second' });
    await sync(phone);
    liar.alter('GET', ofNotes, (all: Bso[]) =>
      all.map((bso) => ({ ...bso, payload: task?.payload })),
    );
    expect((await sync(target)).refused).toMatchObject([{ error: refusal('SYNC_RECORD_FORGED') }]);
  });

  it('is found out when it shows a version again that was replaced, and is given the right one', async () => {
    const { liar, phone, target, store } = await victim();
    const old = await store.get('notes', 'one');
    phone.notes.edit('one', { text: 'second' });
    await sync(phone);
    await sync(target);
    phone.notes.edit('two', { text: 'something new' });
    await sync(phone);
    // Newer by its storage time, older by its content: written as the server itself can.
    liar.alter('GET', ofNotes, (all: Bso[]) => [
      ...all,
      { ...old, modified: (all.at(-1)?.modified ?? 0) + 0.01 },
    ]);
    const report = await sync(target);
    expect(report.refused).toMatchObject([{ id: 'one', error: refusal('SYNC_RECORD_REPLAYED') }]);
    expect(target.notes.all['one']).toEqual({ id: 'one', text: 'second' });
    expect(report.sent).toEqual(['one']);
  });

  it('cannot have a new version overwritten by giving it an old time', async () => {
    const { liar, phone, target, store } = await victim();
    phone.notes.edit('one', { text: 'second' });
    await sync(phone);
    const before = await store.get('notes', 'one');
    liar.alter('GET', ofNotes, (all: Bso[]) => all.map((bso) => ({ ...bso, modified: 1 })));
    const report = await sync(target);
    expect(report.refused).toMatchObject([{ error: refusal('SYNC_RECORD_REPLAYED') }]);
    expect(report.sent).toEqual([]);
    expect(await store.get('notes', 'one')).toEqual(before);
    liar.repent();
    expect(await sync(target)).toMatchObject({ received: ['one'], refused: [] });
  });

  it('cannot bring back what was deleted', async () => {
    const { liar, phone, target, store } = await victim();
    const old = await store.get('notes', 'one');
    phone.notes.records.delete('one');
    await sync(phone);
    await sync(target);
    phone.notes.edit('two', { text: 'something new' });
    await sync(phone);
    liar.alter('GET', ofNotes, (all: Bso[]) => [
      ...all,
      { ...old, modified: (all.at(-1)?.modified ?? 0) + 0.01 },
    ]);
    const report = await sync(target);
    expect(report.refused).toMatchObject([{ error: refusal('SYNC_RECORD_REPLAYED') }]);
    expect(report.deleted).toEqual(['one']);
    expect(Object.keys(target.notes.all)).toEqual(['two']);
  });

  it('that lost everything after a moment is told again what this device knows', async () => {
    const { liar, phone, target, store } = await victim();
    phone.notes.edit('two', { text: 'second' });
    await sync(phone);
    await sync(target);
    // As after a restored backup: the collection is back where it was.
    const [first] = (await store.page('notes', {})).records;
    const time = first?.modified ?? 0;
    liar.alter('GET', ofInfo, (times: object) => ({ ...times, notes: time }));
    liar.alter('GET', ofNotes, () => [first]);
    const report = await sync(target);
    expect(report).toMatchObject({ wentBack: true, sent: ['two'], removed: [] });
    expect(Object.keys(target.notes.all)).toEqual(['one', 'two']);
  });

  it('does not make anybody delete records by hiding a collection', async () => {
    const { liar, target } = await victim();
    liar.alter('GET', ofInfo, (times: object) => ({ ...times, notes: undefined }));
    liar.alter('GET', ofNotes, () => []);
    target.notes.edit('two', { text: 'here' });
    expect(await sync(target)).toMatchObject({ wentBack: true, removed: [], deleted: [] });
    expect(Object.keys(target.notes.all)).toEqual(['one', 'two']);
  });

  it.each(['..', '.', '__proto__', 'constructor', 'a,b', 'a/b?c#d'])(
    'is asked again for the record %s that did not open, and the others are read',
    async (id) => {
      const { alice, phone, target, store } = await victim();
      await store.post('notes', [{ id, payload: 'forged' }], {
        unmodifiedSince: (await store.times()).get('notes') ?? 0,
      });
      phone.notes.edit('two', { text: 'another' });
      await sync(phone);
      for (let round = 0; round < 2; round++) {
        const { refused, status } = await sync(target);
        expect(status).toBe('synced');
        expect(refused.map((record) => record.id)).toEqual(id === '__proto__' ? [] : [id]);
      }
      expect(target.notes.all).toEqual(phone.notes.all);
      expect((await alice.keys()).collections.size).toBe(1);
    },
  );

  describe('about the keys', () => {
    const renewed = (times: Record<string, number>) => ({
      ...times,
      crypto: (times['crypto'] ?? 0) + 100,
      meta: (times['meta'] ?? 0) + 100,
    });

    it.each([
      ['are changed', (payload: string) => payload.replace(/"hmac":"../, '"hmac":"zz')],
      ['are under another Sync key', () => sealFormat5({ id: 'keys' }, generateKeyBundle())],
      ['are no keys', () => '{}'],
    ])('is found out when they %s', async (_, change) => {
      const { liar, target, store } = await victim();
      const before = await store.times();
      liar.alter('GET', ofInfo, renewed);
      liar.alter('GET', ofKeys, (bso: Bso) => ({
        ...bso,
        modified: bso.modified + 100,
        payload: change(bso.payload),
      }));
      target.notes.edit('mine', { text: 'not for the server' });
      await expect(sync(target)).rejects.toMatchObject(refusal('SYNC_KEYS_FORGED'));
      expect(await store.times()).toEqual(before);
    });

    it('is found out when it shows keys again that were replaced', async () => {
      const { liar, target, phone, store } = await victim();
      const old = await store.get('crypto', 'keys');
      await phone.client.rotateKeys();
      await sync(target);
      liar.alter('GET', ofInfo, renewed);
      liar.alter('GET', ofKeys, (bso: Bso) => ({ ...old, modified: bso.modified + 100 }));
      target.notes.edit('mine', { text: 'not under an old key' });
      const before = await store.times();
      await expect(sync(target)).rejects.toMatchObject(refusal('SYNC_KEYS_ROLLBACK'));
      expect(await store.times()).toEqual(before);
    });

    it('is found out when it puts the replaced keys into the store itself', async () => {
      const { target, phone, store } = await victim();
      const old = await store.get('crypto', 'keys');
      await phone.client.rotateKeys();
      await sync(target);
      await store.put('crypto', { id: 'keys', payload: old?.payload ?? '' });
      for (const device of [target, phone]) {
        await expect(sync(device)).rejects.toMatchObject(refusal('SYNC_KEYS_ROLLBACK'));
      }
    });

    it('is not believed when it hides them, and gets them back', async () => {
      const { liar, target, store } = await victim();
      const before = await store.get('crypto', 'keys');
      liar.alter('GET', ofInfo, (times: object) => ({ ...times, crypto: undefined }));
      await expect(sync(target)).rejects.toMatchObject({ name: 'SyncStop', code: 'busy' });
      expect(await store.get('crypto', 'keys')).toEqual(before);
      liar.repent();
      await store.deleteCollection('crypto');
      await sync(target);
      expect((await store.get('crypto', 'keys'))?.payload).toBe(before?.payload);
    });
  });

  describe('about meta/global', () => {
    it('is found out when it shows one again that was replaced', async () => {
      const { alice, target, phone, store } = await victim();
      const old = await store.get('meta', 'global');
      await phone.client.reset();
      await sync(target);
      await store.put('meta', { id: 'global', payload: old?.payload ?? '' });
      await expect(sync(target)).rejects.toMatchObject(refusal('SYNC_META_ROLLBACK'));
      expect((await alice.keys()).collections.has('notes')).toBe(true);
    });

    it('is found out when it shows an engine again that was begun anew', async () => {
      const { target, phone, store } = await victim();
      const old = await store.get('meta', 'global');
      await phone.client.wipe(phone.notes);
      await sync(target);
      await store.put('meta', { id: 'global', payload: old?.payload ?? '' });
      await expect(sync(target)).rejects.toMatchObject(refusal('SYNC_META_ROLLBACK'));
    });

    it('is found out when it invents a new beginning under the old keys', async () => {
      const { liar, target, store } = await victim();
      const meta = await store.get('meta', 'global');
      const payload = meta?.payload.replace(/"syncID":"[^"]+"/, '"syncID":"aaaaaaaaaaaa"');
      liar.alter('GET', ofInfo, (times: Record<string, number>) => ({
        ...times,
        meta: (times['meta'] ?? 0) + 100,
      }));
      liar.alter('GET', ofMeta, (bso: Bso) => ({
        ...bso,
        modified: bso.modified + 100,
        payload,
      }));
      target.notes.edit('mine', { text: 'mine' });
      await expect(sync(target)).rejects.toMatchObject(refusal('SYNC_KEYS_ROLLBACK'));
    });

    it('is found out when its time goes back', async () => {
      const { liar, target, phone, store } = await victim();
      const old = await store.get('meta', 'global');
      await phone.client.sync([new MemoryRecords('tasks')]);
      await sync(target);
      liar.alter('GET', ofInfo, (times: object) => ({ ...times, meta: old?.modified }));
      liar.alter('GET', ofMeta, () => old);
      await expect(sync(target)).rejects.toMatchObject(refusal('SYNC_META_ROLLBACK'));
    });

    it('cannot have a collection emptied by declining it', async () => {
      const { liar, target, store } = await victim();
      liar.alter('GET', ofInfo, (times: Record<string, number>) => ({
        ...times,
        meta: (times['meta'] ?? 0) + 100,
      }));
      liar.alter('GET', ofMeta, (bso: Bso) => {
        const meta = JSON.parse(bso.payload) as Record<string, unknown>;
        const forged = { ...meta, engines: {}, declined: ['notes', 'clients'] };
        return { ...bso, modified: bso.modified + 100, payload: JSON.stringify(forged) };
      });
      const before = await store.times();
      expect(await sync(target)).toMatchObject({ status: 'declined', removed: [] });
      expect(Object.keys(target.notes.all)).toEqual(['one']);
      expect(await store.times()).toEqual(before);
    });
  });

  describe('about the devices', () => {
    it('cannot repeat a command, or invent one', async () => {
      const { liar, target, phone, store } = await victim();
      await phone.client.wipe(phone.notes);
      const before = new Map(
        (await store.page('clients', {})).records.map((bso) => [bso.id, bso.payload]),
      );
      await sync(target);
      target.notes.edit('new', { text: 'after the wipe' });
      await sync(target);
      // The record of the command is shown again, as new.
      liar.alter('GET', /\/storage\/clients$/, (all: Bso[]) =>
        all.map((bso) => ({
          ...bso,
          modified: bso.modified + 100,
          payload: before.get(bso.id) ?? bso.payload,
        })),
      );
      expect((await target.client.sync([target.notes])).commands).toEqual([]);
      const command = { command: 'wipeAll', args: [] };
      liar.repent();
      liar.alter('GET', /\/storage\/clients$/, (all: Bso[]) =>
        all.map(({ id, ...bso }) => ({
          ...bso,
          id,
          payload: sealFormat5({ id, commands: [command] }, generateKeyBundle()),
        })),
      );
      expect((await target.client.sync([target.notes])).commands).toEqual([]);
      expect(Object.keys(target.notes.all)).toEqual(['new']);
    });
  });

  it('can move a record that another client wrote with its id in the first block: known, and documented', async () => {
    const { alice, liar, phone, target } = await victim();
    const keys = await alice.keys();
    const bundle = keys.collections.get('notes') ?? keys.default;
    // Firefox writes the id first, and the IV is not authenticated.
    const foreign = encryptFormat5(utf8('{"id":"aaaa","x":1}'), bundle);
    const iv = fromBase64(foreign.IV);
    for (let i = 7; i < 11; i++) iv[i] = (iv[i] ?? 0) ^ 3; // a becomes b
    const moved = { ...foreign, IV: toBase64(iv) };
    phone.notes.edit('x', { text: 'makes the victim ask' });
    await sync(phone);
    liar.alter('GET', ofNotes, (all: Bso[]) => [
      ...all,
      { id: 'bbbb', modified: all[0]?.modified, payload: JSON.stringify(moved) },
    ]);
    expect((await sync(target)).received).toContain('bbbb');
  });
});
