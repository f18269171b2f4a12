import { Tier1Client } from '#lib/client';
import { generateKeyBundle, openFormat5, sealFormat5 } from '#lib/crypto';
import { MemoryRecords, type SyncTestDevice, Syncer } from '../support/sync-people.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

/** Two devices of somebody new. */
async function two() {
  const alice = await Syncer.signUp(server);
  return { alice, phone: await alice.device('phone'), laptop: await alice.device('laptop') };
}

const sync = async ({ client, notes }: SyncTestDevice) => {
  const { collections, commands } = await client.sync([notes]);
  const [report] = collections;
  if (!report) throw new Error('Nothing was synced.');
  return { ...report, commands };
};

type Fetch = typeof globalThis.fetch;

/** A `fetch` that lets something else happen just before the first request of a kind. */
function before(method: string, path: RegExp, happen: () => Promise<unknown>): Fetch {
  let isDue = true;
  return async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    if (isDue && (init?.method ?? 'GET') === method && path.test(pathname)) {
      isDue = false;
      await happen();
    }
    return fetch(input, init);
  };
}

describe('A tier 1 client', () => {
  it('sets up an empty store', async () => {
    const { alice, phone } = await two();
    await sync(phone);
    const meta = await alice.meta();
    expect(meta).toEqual({
      syncID: expect.stringMatching(/^[A-Za-z0-9_-]{12}$/),
      storageVersion: 5,
      engines: {
        clients: { version: 1, syncID: expect.any(String) },
        notes: { version: 1, syncID: expect.any(String) },
      },
      declined: [],
    });
    const keys = await alice.keys();
    expect([...keys.collections.keys()]).toEqual(['notes']);
  });

  it('brings two devices into step, both ways', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { text: 'from the phone', n: 1.5, list: [null, { a: 'ü' }] });
    laptop.notes.edit('two', { text: 'from the laptop' });
    expect(await sync(phone)).toMatchObject({ status: 'synced', sent: ['one'], received: [] });
    expect(await sync(laptop)).toMatchObject({ sent: ['two'], received: ['one'] });
    expect(await sync(phone)).toMatchObject({ sent: [], received: ['two'] });
    expect(phone.notes.all).toEqual(laptop.notes.all);
    expect(Object.keys(phone.notes.all)).toEqual(['one', 'two']);

    laptop.notes.edit('one', { text: 'changed' });
    await sync(laptop);
    expect(await sync(phone)).toMatchObject({ sent: [], received: ['one'], conflicts: [] });
    expect(phone.notes.all['one']).toEqual({ id: 'one', text: 'changed' });
    expect(await sync(phone)).toMatchObject({ sent: [], received: [], refused: [] });
  });

  it('shows the server nothing but ids and sizes', async () => {
    const { alice, phone } = await two();
    phone.notes.edit('one', { text: 'a very peculiar secret' });
    await sync(phone);
    const store = await alice.store();
    const payloads = (await store.page('notes', {})).records.map(({ payload }) => payload);
    expect(payloads).toHaveLength(1);
    expect(payloads[0]).not.toContain('peculiar');
    const keys = await alice.keys();
    const bundle = keys.collections.get('notes') ?? keys.default;
    expect(openFormat5(payloads[0] ?? '', { id: 'one', bundle })).toEqual({
      id: 'one',
      text: 'a very peculiar secret',
    });
  });

  it('deletes everywhere what was deleted on one device', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    phone.notes.edit('two', { text: '2' });
    await sync(phone);
    await sync(laptop);
    laptop.notes.records.delete('one');
    expect(await sync(laptop)).toMatchObject({ deleted: ['one'], sent: [] });
    expect(await sync(phone)).toMatchObject({ removed: ['one'], deleted: [] });
    expect(Object.keys(phone.notes.all)).toEqual(['two']);
    expect(await sync(laptop)).toMatchObject({ deleted: [], removed: [] });
  });

  it('takes the version of the server when both sides changed, and sets the other aside', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { text: 'first' });
    await sync(phone);
    await sync(laptop);
    phone.notes.edit('one', { text: 'of the phone' });
    laptop.notes.edit('one', { text: 'of the laptop' });
    await sync(phone);
    expect(await sync(laptop)).toMatchObject({ conflicts: ['one'], received: ['one'], sent: [] });
    expect(laptop.notes.all['one']).toEqual({ id: 'one', text: 'of the phone' });
    expect(laptop.notes.aside).toEqual([
      { why: 'conflict', record: { id: 'one', text: 'of the laptop' } },
    ]);
  });

  it('lets a change stand against a deletion, on either side', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    phone.notes.edit('two', { text: '2' });
    await sync(phone);
    await sync(laptop);
    phone.notes.records.delete('one');
    phone.notes.edit('two', { text: '2, changed' });
    laptop.notes.edit('one', { text: '1, changed' });
    laptop.notes.records.delete('two');
    await sync(phone);
    await sync(laptop);
    await sync(phone);
    const both = { one: { id: 'one', text: '1, changed' }, two: { id: 'two', text: '2, changed' } };
    expect(phone.notes.all).toEqual(both);
    expect(laptop.notes.all).toEqual(both);
  });

  it('finds nothing to settle when both sides wrote the same', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { a: 1, b: { c: 2, d: 3 } });
    laptop.notes.edit('one', { b: { d: 3, c: 2 }, a: 1 });
    await sync(phone);
    expect(await sync(laptop)).toMatchObject({ received: [], sent: [], conflicts: [] });
  });

  it('compares again when another device writes while it uploads', async () => {
    const { alice, phone, laptop } = await two();
    await sync(laptop);
    const interrupted = await alice.device(
      'tablet',
      before('POST', /\/storage\/notes$/, async () => {
        laptop.notes.edit('one', { text: 'in between' });
        await sync(laptop);
      }),
    );
    interrupted.notes.edit('two', { text: 'uploading' });
    expect(await sync(interrupted)).toMatchObject({ sent: ['two'], received: ['one'] });
    await sync(phone);
    expect(Object.keys(phone.notes.all)).toEqual(['one', 'two']);
  });

  it('carries more records than a page or a request holds, and none twice', async () => {
    const { phone, laptop } = await two();
    for (let i = 0; i < 1203; i++) phone.notes.edit(`id-${i}`, { i, text: 'x'.repeat(i % 50) });
    expect((await sync(phone)).sent).toHaveLength(1203);
    expect(new Set((await sync(laptop)).received).size).toBe(1203);
    expect(laptop.notes.all).toEqual(phone.notes.all);
    expect(await sync(laptop)).toMatchObject({ received: [], sent: [] });
    expect(await sync(phone)).toMatchObject({ received: [], sent: [] });
  });

  it('goes on where it was interrupted', async () => {
    const { alice, phone } = await two();
    for (let i = 0; i < 1203; i++) phone.notes.edit(`id-${i}`, { i });
    await sync(phone);
    let pages = 0;
    let isCut = true;
    const tablet = await alice.device('tablet', (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      if (url.pathname.endsWith('/storage/notes')) pages++;
      const cut = isCut && pages >= 2;
      return cut ? Promise.reject(new TypeError('The network is gone.')) : fetch(input, init);
    });
    await expect(tablet.client.sync([tablet.notes])).rejects.toMatchObject({ code: 'network' });
    expect(Object.keys(tablet.notes.all)).toHaveLength(500);
    isCut = false;
    const { received } = await sync(tablet);
    expect(received.length).toBeLessThan(1203 - 400);
    expect(tablet.notes.all).toEqual(phone.notes.all);
  });

  it('reads pages of one snapshot, and begins again when somebody writes in between', async () => {
    const { alice, phone } = await two();
    for (let i = 0; i < 700; i++) phone.notes.edit(`id-${i}`, { i });
    await sync(phone);
    const statuses: number[] = [];
    const tablet = await alice.device('tablet', async (input, init) => {
      const url = new URL(input instanceof Request ? input.url : input);
      const isSecond = url.searchParams.has('offset') && statuses.length === 1;
      if (isSecond) {
        phone.notes.edit('id-0', { text: 'in between' });
        await sync(phone);
      }
      const response = await fetch(input, init);
      if (url.pathname.endsWith('/storage/notes')) statuses.push(response.status);
      return response;
    });
    await sync(tablet);
    expect(statuses.slice(0, 2)).toEqual([200, 412]);
    expect(tablet.notes.all).toEqual(phone.notes.all);
  });

  it('notices by itself what was stored when the answer was lost', async () => {
    const { alice, laptop } = await two();
    let isLost = false;
    const phone = await alice.device('phone', async (input, init) => {
      const response = await fetch(input, init);
      if (isLost && init?.method === 'POST') throw new TypeError('The network is gone.');
      return response;
    });
    await sync(phone);
    phone.notes.edit('one', { text: 'sent once' });
    isLost = true;
    await expect(sync(phone)).rejects.toMatchObject({ code: 'network' });
    isLost = false;
    expect(await sync(phone)).toMatchObject({ received: [], conflicts: [] });
    expect((await sync(laptop)).received).toEqual(['one']);
  });

  it('does nothing at all in a rehearsal, and says what it would do', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    const first = await phone.client.sync([phone.notes], { dryRun: true });
    expect(first.collections).toMatchObject([{ sent: ['one'] }]);
    expect((await (await alice.store()).times()).size).toBe(0);
    expect(phone.keeper.text).toBeUndefined();
    await sync(phone);
    laptop.notes.edit('two', { text: '2' });
    const [would] = (await laptop.client.sync([laptop.notes], { dryRun: true })).collections;
    expect(would).toMatchObject({ received: ['one'], sent: ['two'] });
    expect(Object.keys(laptop.notes.all)).toEqual(['two']);
    expect(await alice.meta()).toMatchObject({ engines: { notes: {} } });
  });

  it('leaves alone what it cannot read here, and does not take it for deleted', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    await sync(laptop);
    laptop.notes.unreadable.set('one', 'It is no JSON.');
    phone.notes.edit('one', { text: 'changed' });
    await sync(phone);
    expect(await sync(laptop)).toMatchObject({
      skipped: [{ id: 'one', why: 'It is no JSON.' }],
      deleted: [],
      received: [],
    });
    laptop.notes.unreadable.clear();
    expect(await sync(laptop)).toMatchObject({ received: ['one'], skipped: [] });
  });

  it('does not send what is too large for the server', async () => {
    const { phone } = await two();
    phone.notes.edit('big', { text: 'x'.repeat(2_100_000) });
    phone.notes.edit('small', { text: 'x' });
    const { sent, skipped } = await sync(phone);
    expect(sent).toEqual(['small']);
    expect(skipped).toEqual([{ id: 'big', why: 'too large for this server' }]);
  });
});

describe('Two tier 1 clients that set up a store at the same time', () => {
  it.each([
    ['meta/global', /\/storage\/meta\/global$/],
    ['crypto/keys', /\/storage\/crypto\/keys$/],
  ])('end with one store when they meet at %s', async (_, path) => {
    const alice = await Syncer.signUp(server);
    const winner = await alice.device('winner');
    winner.notes.edit('one', { text: 'of the winner' });
    const loser = await alice.device(
      'loser',
      before('PUT', path, () => sync(winner)),
    );
    loser.notes.edit('two', { text: 'of the loser' });
    expect(await sync(loser)).toMatchObject({ received: ['one'], sent: ['two'] });
    const [first, second] = [winner, loser].map(({ keeper }) => JSON.parse(keeper.text ?? ''));
    expect(second.syncID).toBe(first.syncID);
    await sync(winner);
    expect(winner.notes.all).toEqual(loser.notes.all);
  });

  it('end with one store when they run side by side', async () => {
    const { phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    laptop.notes.edit('two', { text: '2' });
    await Promise.all([sync(phone), sync(laptop)]);
    await sync(phone);
    await sync(laptop);
    expect(phone.notes.all).toEqual(laptop.notes.all);
    expect(Object.keys(phone.notes.all)).toHaveLength(2);
  });
});

describe('Changing the keys', () => {
  it('puts every record under new ones, and every device follows', async () => {
    const { alice, phone, laptop } = await two();
    for (let i = 0; i < 300; i++) phone.notes.edit(`id-${i}`, { i });
    await sync(phone);
    await sync(laptop);
    const before = await alice.keys();
    expect(await phone.client.rotateKeys()).toEqual({ resealed: 302, unreadable: [] });
    const after = await alice.keys();
    expect(after.default).not.toEqual(before.default);
    const store = await alice.store();
    for (const { id, payload } of (await store.page('notes', {})).records) {
      const bundle = after.collections.get('notes') ?? after.default;
      expect(openFormat5(payload, { id, bundle })).toMatchObject({ id });
    }
    laptop.notes.edit('new', { text: 'under the new key' });
    expect(await sync(laptop)).toMatchObject({ sent: ['new'], received: [], refused: [] });
    expect(await sync(phone)).toMatchObject({ received: ['new'], refused: [], conflicts: [] });
    expect(phone.notes.all).toEqual(laptop.notes.all);
  });

  it('reaches records of collections that this client does not sync', async () => {
    const { alice, phone } = await two();
    await sync(phone);
    const { default: bundle } = await alice.keys();
    const store = await alice.store();
    const text = '{"id":"x","n":12345678901234567890}';
    const foreign = { id: 'x', payload: sealFormat5({ id: 'x', text }, bundle), sortindex: 7 };
    await store.put('history', foreign);
    await store.put('history', { id: 'odd', payload: 'no envelope' });
    const { unreadable } = await phone.client.rotateKeys();
    expect(unreadable).toEqual(['history/odd']);
    const { default: now, collections } = await alice.keys();
    const moved = await store.get('history', 'x');
    expect(moved?.sortindex).toBe(7);
    const opened = openFormat5(moved?.payload ?? '', {
      id: 'x',
      bundle: collections.get('history') ?? now,
    });
    expect(opened).toEqual({ id: 'x', text });
  });

  it('is finished by the next sync when it was interrupted', async () => {
    const { alice, laptop } = await two();
    let isCut = false;
    const phone = await alice.device('phone', (input, init) => {
      const { pathname } = new URL(input instanceof Request ? input.url : input);
      const cut = isCut && init?.method === 'POST' && pathname.endsWith('/notes');
      return cut ? Promise.reject(new TypeError('The network is gone.')) : fetch(input, init);
    });
    for (let i = 0; i < 20; i++) phone.notes.edit(`id-${i}`, { i });
    await sync(phone);
    isCut = true;
    await expect(phone.client.rotateKeys()).rejects.toMatchObject({ code: 'network' });
    // Another device meets the half of it: it takes nothing that it cannot read, and loses nothing.
    const half = await sync(laptop);
    expect(half.refused).toHaveLength(20);
    expect(half.refused[0]?.error).toMatchObject({ code: 'SYNC_RECORD_FORGED' });
    isCut = false;
    expect(await sync(phone)).toMatchObject({ refused: [], conflicts: [] });
    expect(await sync(laptop)).toMatchObject({ refused: [], deleted: [], sent: [] });
    expect(laptop.notes.all).toEqual(phone.notes.all);
  });

  it('is healed by a device that had written under the old ones', async () => {
    const { alice, phone, laptop } = await two();
    await sync(phone);
    await sync(laptop);
    const straggler = await alice.device(
      'straggler',
      before('POST', /\/storage\/notes$/, () => phone.client.rotateKeys()),
    );
    straggler.notes.edit('late', { text: 'under the old key' });
    expect(await sync(straggler)).toMatchObject({ sent: ['late'] });
    expect((await sync(phone)).refused).toMatchObject([
      { id: 'late', error: { code: 'SYNC_RECORD_FORGED' } },
    ]);
    expect(await sync(straggler)).toMatchObject({ sent: ['late'] });
    expect(await sync(phone)).toMatchObject({ received: ['late'], refused: [] });
  });

  it('is done by one of two who try at the same time', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    await sync(laptop);
    const second = await alice.device(
      'second',
      before('PUT', /\/crypto\/keys$/, () => phone.client.rotateKeys()),
    );
    await expect(second.client.rotateKeys()).rejects.toMatchObject({
      name: 'SyncStop',
      code: 'busy',
    });
    expect(await sync(second)).toMatchObject({ received: ['one'], refused: [] });
    expect(await sync(laptop)).toMatchObject({ refused: [], conflicts: [] });
  });
});

describe('A store that is begun anew', () => {
  it('is filled again by every device', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    laptop.notes.edit('two', { text: '2' });
    await sync(laptop);
    const before = await alice.meta();
    await phone.client.reset();
    expect((await alice.meta()).syncID).not.toBe(before.syncID);
    expect((await (await alice.store()).times()).has('notes')).toBe(false);
    expect(await sync(laptop)).toMatchObject({ sent: ['one', 'two'], conflicts: [] });
    expect(await sync(phone)).toMatchObject({ received: ['two'], conflicts: [] });
    expect(phone.notes.all).toEqual(laptop.notes.all);
  });

  it('is not begun by itself while it holds records', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    const store = await alice.store();
    await store.deleteCollection('crypto');
    await expect(sync(laptop)).rejects.toMatchObject({ name: 'SyncStop', code: 'keys-missing' });
    await store.deleteCollection('meta');
    await expect(sync(laptop)).rejects.toMatchObject({ name: 'SyncStop', code: 'not-set-up' });
    expect((await store.times()).has('notes')).toBe(true);
    // The device that knows them puts both back.
    expect(await sync(phone)).toMatchObject({ sent: [], received: [], refused: [] });
    expect(await sync(laptop)).toMatchObject({ received: ['one'] });
  });

  it('is left alone when it is of another format', async () => {
    const { alice, phone, laptop } = await two();
    await sync(phone);
    const store = await alice.store();
    const put = (meta: unknown) =>
      store.put('meta', {
        id: 'global',
        payload: typeof meta === 'string' ? meta : JSON.stringify(meta),
      });
    for (const [meta, code] of [
      [{ storageVersion: 6, syncID: 'abc', repositories: {} }, 'upgrade-required'],
      [{ storageVersion: 3, syncID: 'abc' }, 'format-older'],
      [{ storageVersion: '1.0', syncID: 'abc' }, 'format-older'],
      [{ storageVersion: 5 }, 'meta-malformed'],
      ['[', 'meta-malformed'],
      [[], 'meta-malformed'],
    ] as const) {
      await put(meta);
      const times = await store.times();
      for (const device of [phone, laptop]) {
        await expect(sync(device)).rejects.toMatchObject({ name: 'SyncStop', code });
      }
      expect(await store.times()).toEqual(times);
    }
  });
});

describe('Engines', () => {
  it('that are declined are left alone by everybody, until they are accepted', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    await sync(laptop);
    await phone.client.decline('notes');
    expect(await alice.meta()).toMatchObject({ declined: ['notes'], engines: { clients: {} } });
    laptop.notes.edit('two', { text: '2' });
    expect(await sync(laptop)).toMatchObject({ status: 'declined', sent: [], removed: [] });
    expect(Object.keys(laptop.notes.all)).toEqual(['one', 'two']);
    await laptop.client.accept('notes');
    expect(await sync(laptop)).toMatchObject({ sent: ['one', 'two'] });
    expect(await sync(phone)).toMatchObject({ received: ['two'], conflicts: [] });
  });

  it('of a newer version are left alone, and of an older one are replaced', async () => {
    const { alice, phone } = await two();
    const [v1, v2] = [new MemoryRecords('things', 1), new MemoryRecords('things', 2)];
    v2.edit('a', { of: 2 });
    await phone.client.sync([v2]);
    v1.edit('b', { of: 1 });
    const old = await alice.device('old');
    const [left] = (await old.client.sync([v1])).collections;
    expect(left).toMatchObject({ status: 'newer-version', sent: [] });

    const v3 = new MemoryRecords('things', 3);
    v3.edit('c', { of: 3 });
    const before = await alice.meta();
    await old.client.sync([v3]);
    const after = await alice.meta();
    expect(after.engines.things).toMatchObject({ version: 3 });
    expect(after.engines.things.syncID).not.toBe(before.engines.things.syncID);
    const { records } = await (await alice.store()).page('things', {});
    expect(records.map(({ id }) => id)).toEqual(['c']);
  });

  it('with another syncID are compared from the beginning', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    const store = await alice.store();
    const meta = await alice.meta();
    meta.engines.notes.syncID = 'another';
    await store.deleteCollection('notes');
    await store.put('meta', { id: 'global', payload: JSON.stringify(meta) });
    expect(await sync(phone)).toMatchObject({ sent: ['one'], wentBack: false });
    expect(await sync(laptop)).toMatchObject({ received: ['one'] });
  });

  it('keep what others wrote in meta/global', async () => {
    const { alice, phone, laptop } = await two();
    await sync(phone);
    const store = await alice.store();
    const meta = await alice.meta();
    const payload = JSON.stringify({ ...meta, extra: [1], declined: ['prefs'] });
    await store.put('meta', { id: 'global', payload });
    await laptop.client.sync([new MemoryRecords('tasks')]);
    expect(await alice.meta()).toMatchObject({
      extra: [1],
      declined: ['prefs'],
      engines: { notes: meta.engines.notes, tasks: {} },
    });
  });
});

describe('Wiping a collection', () => {
  it('empties it on the server and on every device, which keep theirs aside', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    laptop.notes.edit('two', { text: '2' });
    await sync(laptop);
    await sync(phone);
    expect(await phone.client.wipe(phone.notes)).toBe(1);
    expect(phone.notes.all).toEqual({});
    expect(phone.notes.aside).toHaveLength(2);
    expect((await (await alice.store()).times()).has('notes')).toBe(false);
    laptop.notes.edit('three', { text: '3' });
    const { commands } = await sync(laptop);
    expect(commands).toMatchObject([{ command: 'wipeEngine', args: ['notes'] }]);
    expect(laptop.notes.all).toEqual({});
    expect(laptop.notes.aside).toHaveLength(3);
    laptop.notes.edit('four', { text: '4' });
    expect(await sync(laptop)).toMatchObject({ sent: ['four'], commands: [] });
    expect(await sync(phone)).toMatchObject({ received: ['four'], sent: [] });
    expect(Object.keys(laptop.notes.all)).toEqual(['four']);
  });

  it('is not undone by a device that syncs in the middle of it', async () => {
    const { alice, phone, laptop } = await two();
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    await sync(laptop);
    const wiping = await alice.device(
      'wiping',
      before('DELETE', /\/storage\/notes$/, () => sync(laptop)),
    );
    await sync(wiping);
    await wiping.client.wipe(wiping.notes);
    expect(await sync(laptop)).toMatchObject({ status: 'synced', sent: [] });
    expect(laptop.notes.all).toEqual({});
    expect((await (await alice.store()).times()).has('notes')).toBe(false);
  });

  it('does not lose a command that another device leaves at the same time', async () => {
    const { alice, phone, laptop } = await two();
    await sync(phone);
    await sync(laptop);
    const tasks = new MemoryRecords('tasks');
    const tablet = await alice.device(
      'tablet',
      before('PUT', /\/storage\/clients\//, () => phone.client.wipe(tasks)),
    );
    await tablet.client.wipe(tablet.notes);
    const { commands } = await sync(laptop);
    expect(commands.map(({ args }) => args)).toEqual([['tasks'], ['notes']]);
  });
});

describe('A tier 2 client', () => {
  it('gives up when nobody has set up the store, and succeeds later', async () => {
    const alice = await Syncer.signUp(server);
    const reader = await alice.tier2('reader');
    const phone = await alice.device('phone');
    await expect(sync(reader)).rejects.toMatchObject({ name: 'SyncStop', code: 'not-set-up' });
    expect((await (await alice.store()).times()).size).toBe(0);
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    expect(await sync(reader)).toMatchObject({ received: ['one'] });
  });

  it('gives up when there are no keys, and puts none there', async () => {
    const alice = await Syncer.signUp(server);
    const phone = await alice.device('phone');
    await sync(phone);
    const reader = await alice.tier2('reader');
    await sync(reader);
    const store = await alice.store();
    await store.deleteCollection('crypto');
    await expect(sync(reader)).rejects.toMatchObject({ name: 'SyncStop', code: 'keys-missing' });
    expect((await store.times()).has('crypto')).toBe(false);
    await sync(phone);
    await sync(reader);
  });

  it('reads, writes, and begins collections with the default key, without a write to crypto', async () => {
    const alice = await Syncer.signUp(server);
    const phone = await alice.device('phone');
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    const store = await alice.store();
    const before = await store.get('crypto', 'keys');
    const reader = await alice.tier2('reader');
    reader.notes.edit('two', { text: '2' });
    expect(await sync(reader)).toMatchObject({ received: ['one'], sent: ['two'] });
    const tasks = new MemoryRecords('tasks');
    tasks.edit('a', { text: 'a task' });
    await reader.client.sync([tasks]);
    expect(await store.get('crypto', 'keys')).toEqual(before);
    const [record] = (await store.page('tasks', {})).records;
    const { default: bundle } = await alice.keys();
    expect(openFormat5(record?.payload ?? '', { id: 'a', bundle })).toMatchObject({ id: 'a' });
    const own = new MemoryRecords('tasks');
    const [report] = (await phone.client.sync([own])).collections;
    expect(report).toMatchObject({ received: ['a'], refused: [] });
    expect((await alice.keys()).collections.has('tasks')).toBe(false);
  });

  it('follows a change of keys, and never replaces a collection of an older version', async () => {
    const alice = await Syncer.signUp(server);
    const phone = await alice.device('phone');
    phone.notes.edit('one', { text: '1' });
    await sync(phone);
    const reader = await alice.tier2('reader');
    await sync(reader);
    await phone.client.rotateKeys();
    expect(await sync(reader)).toMatchObject({ status: 'synced', refused: [], conflicts: [] });
    const newer = new MemoryRecords('notes', 2);
    const [report] = (await reader.client.sync([newer])).collections;
    expect(report).toMatchObject({ status: 'older-version' });
    expect((await alice.meta()).engines.notes.version).toBe(1);
  });
});

it('waits while the server asks to be left alone', async () => {
  const alice = await Syncer.signUp(server);
  const phone = await alice.device('phone', async (input, init) => {
    const response = await fetch(input, init);
    const headers = new Headers(response.headers);
    headers.set('x-weave-backoff', '120.5');
    return new Response(await response.arrayBuffer(), { status: response.status, headers });
  });
  await sync(phone);
  await expect(sync(phone)).rejects.toMatchObject({ name: 'SyncStop', code: 'backing-off' });
  const restarted = { ...phone, client: new Tier1Client(phone.input) };
  await expect(sync(restarted)).rejects.toMatchObject({ code: 'backing-off' });
});

it('keeps what it could not store when the store is full', async () => {
  const small = await TestServer.start({ STORAGE_QUOTA_BYTES: '20000' });
  const alice = await Syncer.signUp(small);
  const phone = await alice.device('phone');
  phone.notes.edit('one', { text: 'x'.repeat(30_000) });
  await expect(sync(phone)).rejects.toMatchObject({ name: 'ClientError', code: 'weave-14' });
  phone.notes.edit('one', { text: 'short' });
  expect(await sync(phone)).toMatchObject({ sent: ['one'] });
  await small.stop();
});

it('does not open a store with the key of somebody else', async () => {
  const alice = await Syncer.signUp(server);
  const phone = await alice.device('phone');
  await sync(phone);
  const { input } = await alice.device('other');
  const { encryptionKey, hmacKey } = generateKeyBundle();
  const key = { ...input.key, k: Uint8Array.from([...encryptionKey, ...hmacKey]) };
  const other = new Tier1Client({ ...input, key });
  const before = await (await alice.store()).times();
  await expect(other.sync([phone.notes])).rejects.toMatchObject({
    name: 'IntegrityError',
    code: 'SYNC_KEYS_FORGED',
  });
  expect(await (await alice.store()).times()).toEqual(before);
});
