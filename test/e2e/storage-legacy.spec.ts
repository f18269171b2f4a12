import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { LegacyPasswordsService } from '../../apps/server/src/sync/legacy-passwords.service.ts';
import { runBuilt } from '../support/built-program.ts';
import { legacyClient, type LegacyClient, legacyUser } from '../support/legacy.ts';
import { storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let user: LegacyClient;
beforeAll(async () => {
  server = await TestServer.start({
    LEGACY_PAYLOAD_BYTES_MAX: '3000',
    LEGACY_POST_BYTES_MAX: '5000',
    STORAGE_POST_RECORDS_MAX: '20',
    STORAGE_PAGE_RECORDS_MAX: '25',
    STORAGE_QUOTA_BYTES: '20000',
    STORAGE_USER_QUOTA_BYTES: '32768',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  user = await legacyUser(server);
});

const time = (text: unknown) => Math.round(Number(text) * 100);
const ids = async (query = '', collection = 'c') =>
  (await user.get(`/storage/${collection}${query}`)).json() as string[];

describe('a password', () => {
  const passwords = () => server.app.get(LegacyPasswordsService);

  it('is made for a name, is not stored, and ends when another is made or it is revoked', async () => {
    const made = await passwords().make('Johndoe@Example.com');
    expect(made).toEqual({
      username: 'v64aw4knp6ittxnarcpmoi7smokoazsr',
      password: expect.stringMatching(/^[a-z2-7]{32}$/),
    });
    const stored = JSON.stringify(await server.db.query('SELECT * FROM legacy_user'));
    expect(stored).not.toContain(made.password);
    expect(stored).not.toContain('xample');
    const first = legacyClient(server, made.username, made.password);
    expect((await first.put('/storage/c/a', { payload: 'mine' })).status).toBe(200);

    const again = await passwords().make('johndoe@example.com');
    expect(again.username).toBe(made.username);
    expect((await first.get('/storage/c/a')).status).toBe(401);
    const second = legacyClient(server, again.username, again.password);
    expect((await second.get('/storage/c/a')).json()).toMatchObject({ payload: 'mine' });

    expect(await passwords().revoke('JOHNDOE@example.com')).toBe(true);
    expect((await second.get('/storage/c/a')).status).toBe(401);
    expect(await passwords().revoke('johndoe@example.com')).toBe(false);
    expect(await passwords().revoke('nobody')).toBe(false);
  });

  it('may be used with the address itself in place of its hash', async () => {
    const { password } = await passwords().make('jane@example.com');
    const jane = legacyClient(server, 'jane@example.com', password);
    const put = await jane.put('!/1.1/jane%40example.com/storage/c/a', { payload: 'x' });
    expect(put.status).toBe(200);
  });

  it('is made and revoked on the command line', async () => {
    const { schema, url } = server.db.options as { schema: string; url: string };
    const database = new URL(url);
    database.searchParams.set('options', `-c search_path=${schema}`);
    const run = (...words: string[]) =>
      runBuilt('apps/cli/src/main.js', ['--json', 'legacy-password', ...words], {
        DATABASE_URL: database.href,
        PUBLIC_URL: server.url,
      });
    const made = await run('make', 'ann@example.com');
    const { username, password, ...rest } = JSON.parse(made.stdout) as Record<string, string>;
    expect([made.code, rest]).toEqual([0, { url: `${server.url}/storage/` }]);
    const ann = legacyClient(server, String(username), String(password));
    expect((await ann.get('/info/collections')).status).toBe(200);
    const revoked = await run('revoke', 'ann@example.com');
    expect([revoked.code, JSON.parse(revoked.stdout)]).toEqual([
      0,
      { account: 'ann@example.com', revoked: true },
    ]);
    expect((await ann.get('/info/collections')).status).toBe(401);
    expect((await run('revoke', 'ann@example.com')).code).toBe(1);
    expect((await run('make')).code).toBe(2);
  });

  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  it.each<[string, (u: LegacyClient) => string, RegExp]>([
    ['none', () => '', /no well-formed/],
    ['of another scheme', (u) => `Bearer ${u.password}`, /no well-formed/],
    ['of no base64', () => 'Basic !!!!', /no well-formed/],
    ['without a colon', (u) => basic(u.username), /no name and password/],
    ['that is no UTF-8', () => 'Basic //86', /no name and password/],
    ['for another name', (u) => basic(`other:${u.password}`), /another than in the path/],
    [
      'for the name in other letters',
      (u) => basic(`${u.username.toUpperCase()}:${u.password}`),
      /another/,
    ],
    ['with a wrong password', (u) => basic(`${u.username}:wrong`), /wrong/],
    ['with an empty password', (u) => basic(`${u.username}:`), /wrong/],
    ['with half of it', (u) => basic(`${u.username}:${u.password.slice(0, 16)}`), /wrong/],
  ])('is asked for, with the reason in the log: %s', async (_, authorization, reason) => {
    const log = jest.spyOn(Logger.prototype, 'log');
    const refused = await user.request('POST', '/storage/c', {
      body: [{ id: 'a' }],
      authorization: authorization(user),
    });
    const reasons = log.mock.calls.map(([entry]) => (entry as { reason?: string }).reason);
    log.mockRestore();
    expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
      401,
      'Basic realm="Sync"',
    ]);
    expect(reasons.filter(Boolean)).toEqual([expect.stringMatching(reason)]);
    expect(await ids()).toEqual([]);
  });

  it('opens one store, which no token of 1.5 can name', async () => {
    const other = await legacyUser(server);
    await user.put('/storage/c/a', { payload: 'x' });
    expect((await other.get('/storage/c')).text).toBe('[]');
    expect((await other.get(`!/storage/1.1/${user.username}/storage/c`)).status).toBe(401);
    const modern = await storageUser(server, {});
    for (const path of [
      `!/storage/1.5/${user.username}/storage/c`,
      '!/storage/1.5/-1/storage/c',
      `!/storage/1.1/${user.username}/storage/c`,
    ]) {
      expect((await modern.get(path)).status).toBe(401);
    }
  });
});

describe('what there is', () => {
  it('is told by info, with the records that live', async () => {
    const { text: at } = await user.put('/storage/c/a', { payload: 'x'.repeat(512) });
    await user.put('/storage/d/a', { payload: 'x', ttl: 10 });
    const collections = await user.get('/info/collections?v=1.8');
    expect(collections.text).toMatch(new RegExp(`^\\{"c":${at},"d":\\d+\\.\\d\\d\\}$`));
    expect(collections.headers.get('x-weave-records')).toBe('2');
    server.clock.advance(20);
    const counts = await user.get('/info/collection_counts');
    expect([counts.text, counts.headers.get('x-weave-records')]).toEqual(['{"c":1}', '1']);
    expect((await user.get('/info/collection_usage')).text).toBe('{"c":0.5}');
    expect((await user.get('/info/quota')).text).toBe('[0.5,32]');
    expect((await user.get('/info/collections')).headers.get('x-weave-timestamp')).toMatch(
      /^\d+\.\d\d$/,
    );
  });

  it('does not hold a collection whose last record was deleted', async () => {
    await user.put('/storage/c/a', { payload: 'x' });
    await user.delete('/storage/c/a');
    expect((await user.get('/info/collections')).text).toBe('{}');
    const none = { 'x-if-unmodified-since': '0' };
    expect((await user.put('/storage/c/a', { payload: 'x' }, none)).status).toBe(200);
    expect((await user.put('/storage/c/a', { payload: 'x' }, none)).status).toBe(412);
  });

  it.each(['/1.1', '/1.0', '/1', '/storage/1.0', '/storage/1'])(
    'is the same below %s',
    async (prefix) => {
      const at = (path: string) => `!${prefix}/${user.username}${path}`;
      const put = await user.put(at('/storage/c/a'), { payload: 'x' });
      expect([put.status, put.headers.get('x-weave-timestamp')]).toEqual([200, put.text]);
      expect((await user.get('/storage/c/a')).json()).toMatchObject({ payload: 'x' });
      expect((await user.get(at('/info/collections?v=1'))).text).toBe(`{"c":${put.text}}`);
      const stranger = await user.request('GET', at('/storage/c'), { authorization: '' });
      expect([stranger.status, stranger.text]).toEqual([401, '0']);
      expect(stranger.headers.get('www-authenticate')).toBe('Basic realm="Sync"');
      expect((await user.put(at('/storage/c/a'), 'x')).text).toBe('6');
      const kept = await user.delete(at('/storage'));
      expect([kept.status, kept.text]).toEqual([400, '4']);
      const confirmed = { 'x-confirm-delete': '1' };
      expect((await user.delete(at('/storage'), confirmed)).status).toBe(200);
      expect((await user.get('/info/collections')).text).toBe('{}');
      // The token server's, which nobody takes for a user.
      const token = await fetch(`${server.url}/1.0/sync/1.5`);
      expect([token.status, await token.json()]).toEqual([
        401,
        expect.objectContaining({ status: 'error' }),
      ]);
    },
  );

  it.each([
    ['GET', '/nope', 404],
    ['GET', '/storage/c/a/b', 404],
    ['GET', '/storage/c%20d', 404],
    ['GET', '/info/configuration', 404],
    ['PATCH', '/storage/c', 405],
    ['POST', '/storage/c/a', 405],
    ['HEAD', '/storage/c', 405],
    ['POST', '/info/collections', 405],
    ['PUT', '/storage/', 400],
    ['PUT', '/storage', 400],
    ['GET', '/storage/c/', 200],
  ])('answers %s %s by %s', async (method, path, status) => {
    expect((await user.request(method, path)).status).toBe(status);
  });
});

describe('records', () => {
  it('come back with what was given and not their lifetime', async () => {
    const put = await user.put('/storage/c/a', {
      ...{ id: 'other', payload: 'é"', sortindex: '5.9', ttl: '100', foo: 'dropped' },
      ...{ parentid: 'p', predecessorid: null, modified: 5, username: 'x' },
    });
    expect([put.status, put.headers.get('x-weave-timestamp')]).toEqual([200, put.text]);
    expect(put.text).toMatch(/^\d+\.\d\d$/);
    const json = `{"id":"a","modified":${put.text},"sortindex":5,"parentid":"p","payload":"é\\""}`;
    const got = await user.get('/storage/c/a');
    expect([got.text, got.headers.get('content-type')]).toEqual([
      json,
      expect.stringContaining('application/json'),
    ]);
    expect((await user.get('/storage/c?full=1')).text).toBe(`[${json}]`);
    expect((await user.get('/storage/c/none')).status).toBe(404);
  });

  it('keep their time when their payload does not change, and end when no lifetime is given', async () => {
    const { text: first } = await user.put('/storage/c/a', { payload: 'x', ttl: 100 });
    const index = await user.put('/storage/c/a', { sortindex: 7, parentid: 'q' });
    expect(index.text).toBe(first);
    expect((await user.get('/info/collections')).text).toBe(`{"c":${first}}`);
    server.clock.advance(200); // the second write had no lifetime
    expect((await user.get('/storage/c/a')).json()).toMatchObject({
      ...{ payload: 'x', sortindex: 7, parentid: 'q' },
    });
    const known = { 'x-if-unmodified-since': first };
    expect((await user.put('/storage/c/a', { sortindex: 8 }, known)).text).toBe(first);
    const second = await user.put('/storage/c/a', { payload: 'y', ttl: 10 }, known);
    expect(time(second.text)).toBeGreaterThan(time(first));
    expect((await user.put('/storage/c/a', { payload: 'z' }, known)).status).toBe(412);
    server.clock.advance(11);
    expect((await user.get('/storage/c/a')).status).toBe(404);
    await user.put('/storage/c/a', { sortindex: 1 });
    expect((await user.get('/storage/c/a')).json()).toMatchObject({ payload: '', sortindex: 1 });
  });

  it.each([
    ['', '6'],
    ['{', '6'],
    ['[]', '8'],
    ['"x"', '8'],
    ['42', '8'],
    ['null', '8'],
    ['{"payload":7}', '8'],
    ['{"payload":{}}', '8'],
    ['{"foo":[]}', '8'],
    [String.raw`{"payload":"\u0000"}`, '8'],
    ['{"sortindex":"x"}', '8'],
    ['{"sortindex":1000000000}', '8'],
    ['{"ttl":-1}', '8'],
    ['{"ttl":31536001}', '8'],
    ['{"ttl":"soon"}', '8'],
    [`{"parentid":"${'p'.repeat(65)}"}`, '8'],
    [`{"payload":"${'é'.repeat(1501)}"}`, '8'],
  ])('are refused when they are no records: %s', async (body, code) => {
    const refused = await user.put('/storage/c/a', body);
    expect([refused.status, refused.text]).toEqual([400, code]);
    expect(await ids()).toEqual([]);
  });

  it('may have numbers that are text, fractions or booleans', async () => {
    for (const [sortindex, stored] of [
      ['5', 5],
      [' -5.5 ', -5],
      [7.9, 7],
      [true, 1],
      [-0.5, 0],
    ]) {
      const { status } = await user.put('/storage/c/a', { payload: '', sortindex, ttl: '50' });
      expect([status, (await user.get('/storage/c/a')).json().sortindex]).toEqual([200, stored]);
    }
  });
});

describe('a list of records to write', () => {
  it('is written at one time, except what is bad, with its reasons', async () => {
    const posted = await user.post('/storage/c', [
      { id: 'a', payload: 'x' },
      { id: 7, payload: 'seven' },
      { id: 'big', payload: 'x'.repeat(3001) },
      { id: 'index', sortindex: 'x' },
      { id: 'life', ttl: -1 },
      { id: 'parent', parentid: 'p'.repeat(65) },
      { id: 'before', predecessorid: 'p'.repeat(65) },
      { id: 'number', payload: 5 },
      { payload: 'none' },
    ]);
    expect(posted.status).toBe(200);
    const { modified, ...lists } = posted.json();
    expect(lists).toEqual({
      success: ['a', '7'],
      failed: {
        '': ['invalid id'],
        big: ['payload too large'],
        index: ['invalid sortindex'],
        life: ['invalid ttl'],
        parent: ['invalid parentid'],
        before: ['invalid predecessorid'],
        number: ['payload not a string'],
      },
    });
    expect(posted.headers.get('x-weave-timestamp')).toBe(modified.toFixed(2));
    expect((await user.get('/storage/c?full=1')).json()).toMatchObject([
      { id: '7', modified },
      { id: 'a', modified },
    ]);
    const odd = await user.post('/storage/c', [[], 'x', null, { id: { a: 1 } }, { id: 'b' }]);
    expect(odd.json()).toMatchObject({ success: ['b'], failed: { '': ['invalid wbo'] } });
    expect((await user.post('/storage/c', [])).json()).toMatchObject({ success: [], failed: {} });
  });

  it('is taken as far as the limits go', async () => {
    const many = await user.post(
      '/storage/c',
      Array.from({ length: 22 }, (_, i) => ({ id: `r${i}`, payload: '' })),
    );
    expect(many.json().success).toHaveLength(20);
    expect(many.json().failed).toEqual({ r20: ['retry wbo'], r21: ['retry wbo'] });
    const long = await user.post(
      '/storage/c',
      ['a', 'b', 'c'].map((id) => ({ id, payload: 'x'.repeat(2400) })),
    );
    expect(long.json()).toMatchObject({ success: ['a', 'b'], failed: { c: ['retry bytes'] } });
  });

  it('may name an id again: the last one counts', async () => {
    await user.post('/storage/c', [
      { id: 'a', payload: 'one', sortindex: 1 },
      { id: 'a', payload: 'two' },
    ]);
    expect(await ids()).toEqual(['a']);
    expect((await user.get('/storage/c/a')).json()).toMatchObject({ payload: 'two', sortindex: 1 });
  });

  it('may be one record, and be put to the collection, whatever type it says', async () => {
    for (const [method, type] of [
      ['POST', 'text/plain'],
      ['PUT', 'application/json'],
      ['PUT', 'image/png'],
    ] as const) {
      const body = { id: method + type, payload: 'x' };
      const headers = { 'content-type': type };
      const one = await user.request(method, '/storage/c', {
        body: { ...body, id: method },
        headers,
      });
      expect([one.status, one.text]).toEqual([200, expect.stringMatching(/^\d+\.\d\d$/)]);
      const list = await user.request(method, '/storage/c', {
        body: [{ ...body, id: `${method}s` }],
        headers,
      });
      expect(list.json().success).toEqual([`${method}s`]);
    }
    for (const body of ['{"payload":"x"}', '{"id":"a/b"}', '7', '"x"']) {
      const refused = await user.post('/storage/c', body);
      expect([refused.status, refused.text]).toEqual([400, '8']);
    }
    expect((await user.post('/storage/c', '{')).text).toBe('6');
  });
});

describe('a list', () => {
  beforeEach(async () => {
    await user.post('/storage/c', [{ id: 'a', payload: 'a', sortindex: 3, parentid: 'p' }]);
    await user.post('/storage/c', [{ id: 'b', payload: 'b', sortindex: 1, predecessorid: 'a' }]);
    await user.post('/storage/c', [{ id: 'c', payload: 'c', parentid: 'p' }]);
    await user.post('/storage/c', [{ id: 'd', payload: 'd', sortindex: 2 }]);
  });
  const timeOf = async (id: string) =>
    String((await user.get(`/storage/c/${id}`)).json().modified.toFixed(2));

  it('is filtered as asked for', async () => {
    const b = await timeOf('b');
    const d = await timeOf('d');
    expect(await ids(`?newer=${b}`)).toEqual(['c', 'd']);
    expect(await ids(`?older=${b}`)).toEqual(['a']);
    expect(await ids(`?newer=${b}&older=${d}`)).toEqual(['c']);
    expect(await ids('?newer=-5')).toEqual(['a', 'b', 'c', 'd']);
    expect(await ids('?older=1e3')).toEqual([]);
    expect(await ids('?index_above=1')).toEqual(['a', 'd']);
    expect(await ids('?index_above=1.5&index_below=3')).toEqual(['d']);
    expect(await ids('?index_below=2')).toEqual(['b']);
    expect(await ids('?parentid=p')).toEqual(['a', 'c']);
    expect(await ids('?predecessorid=a')).toEqual(['b']);
    expect(await ids('?parentid=%00')).toEqual([]);
    expect(await ids('?ids=d,a,none,%00')).toEqual(['a', 'd']);
    const many = Array.from({ length: 150 }, (_, i) => `x${i}`).join(',');
    expect(await ids(`?ids=${many},c`)).toEqual(['c']);
  });

  it('is ordered and cut as asked for', async () => {
    expect(await ids('?sort=newest')).toEqual(['d', 'c', 'b', 'a']);
    expect(await ids('?sort=index')).toEqual(['a', 'd', 'b', 'c']);
    expect(await ids('?sort=nonsense')).toEqual(['a', 'b', 'c', 'd']);
    expect(await ids('?limit=2')).toEqual(['a', 'b']);
    expect(await ids('?limit=2&offset=1&sort=newest')).toEqual(['c', 'b']);
    expect(await ids('?limit=2&offset=9')).toEqual([]);
    expect(await ids('?offset=1')).toEqual(['a', 'b', 'c', 'd']);
    expect(await ids('?limit=0&offset=-1')).toEqual(['a', 'b', 'c', 'd']);
  });

  it.each(['newer=x', 'older=', 'index_above=x', 'index_below=1x', 'limit=x', 'limit=1.5'])(
    'is refused for %s',
    async (query) => {
      expect((await user.get(`/storage/c?${query}`)).status).toBe(400);
      expect((await user.delete(`/storage/c?${query}`)).status).toBe(400);
      expect(await ids()).toHaveLength(4);
    },
  );

  it('has three forms, and JSON for who wants another', async () => {
    const as = async (accept: string, query = '') => {
      const answer = await user.get(`/storage/c?ids=a,b${query}`, { accept });
      expect(answer.headers.get('x-weave-records')).toBe('2');
      return [answer.headers.get('content-type')?.split(';')[0], answer.bytes.toString('latin1')];
    };
    expect(await as('application/newlines')).toEqual(['application/newlines', '"a"\n"b"\n']);
    expect(await as('application/whoisi')).toEqual([
      'application/whoisi',
      '\0\0\0\x03"a"\0\0\0\x03"b"',
    ]);
    expect(await as('image/png')).toEqual(['application/json', '["a","b"]']);
    expect(await as('*/*')).toEqual(['application/json', '["a","b"]']);
    const full = await as('application/newlines', '&full=1');
    expect(full[1]?.split('\n')).toHaveLength(3);
    expect(await ids('?full=')).toEqual(['a', 'b', 'c', 'd']);
  });

  it('of nothing is empty', async () => {
    const none = await user.get('/storage/none');
    expect([none.status, none.text, none.headers.get('x-weave-records')]).toEqual([200, '[]', '0']);
  });

  it('that the server cuts goes on by time, and loses nothing', async () => {
    for (const part of ['s', 't', 'u']) {
      await user.post(
        '/storage/long',
        Array.from({ length: 14 }, (_, i) => ({ id: `${part}${i}`, payload: 'x' })),
      );
    }
    const seen = new Set<string>();
    let newer = '0';
    for (const expected of [25, 25, 14]) {
      const page = await user.get(`/storage/long?newer=${newer}`);
      expect(page.headers.get('x-weave-records')).toBe(String(expected));
      for (const id of page.json() as string[]) seen.add(id);
      newer = String(page.headers.get('x-weave-timestamp'));
    }
    expect(seen.size).toBe(42);
    const newest = await user.get('/storage/long?sort=newest&newer=3');
    expect(newest.headers.get('x-weave-timestamp')).toBe('3.00');
    expect(await ids('?limit=25&offset=25', 'long')).toHaveLength(17);
  });
});

describe('deleting', () => {
  it('answers with the time, also for what is not there', async () => {
    const before = time(server.clock.now().getTime() / 1000);
    await user.put('/storage/c/a', { payload: 'x' });
    for (const path of ['/storage/c/a', '/storage/c/a', '/storage/c', '/storage/c', '/storage/d']) {
      const deleted = await user.delete(path);
      expect(deleted.status).toBe(200);
      expect(deleted.text).toMatch(/^\d+\.\d\d$/);
      expect(time(deleted.text)).toBeGreaterThanOrEqual(before);
      expect(deleted.headers.get('x-weave-timestamp')).toBe(deleted.text);
    }
  });

  it('takes the filters of lists', async () => {
    const fill = () =>
      user.post(
        '/storage/c',
        'abcdef'.split('').map((id, i) => ({
          ...{ id, payload: 'x', sortindex: i },
          parentid: i % 2 === 0 ? 'p' : 'q',
        })),
      );
    for (const [query, left] of [
      ['ids=a,b,none', ['c', 'd', 'e', 'f']],
      ['index_above=3', ['a', 'b', 'c', 'd']],
      ['index_below=4.5', ['f']],
      ['parentid=p', ['b', 'd', 'f']],
      ['parentid=%00', ['a', 'b', 'c', 'd', 'e', 'f']],
      ['predecessorid=z', ['a', 'b', 'c', 'd', 'e', 'f']],
      ['older=5', ['a', 'b', 'c', 'd', 'e', 'f']],
      ['newer=5', []],
      ['limit=2&sort=index', ['a', 'b', 'c', 'd']],
      ['limit=2&offset=1&sort=oldest', ['a', 'd', 'e', 'f']],
      ['ids=', ['a', 'b', 'c', 'd', 'e', 'f']],
      ['sort=newest', []],
      ['', []],
    ] as const) {
      await fill();
      expect((await user.delete(`/storage/c?${query}`)).status).toBe(200);
      expect([query, await ids()]).toEqual([query, left]);
    }
  });

  it('of everything needs to be confirmed', async () => {
    await user.put('/storage/c/a', { payload: 'x' });
    await user.put('/storage/d/a', { payload: 'x' });
    const refused = await user.delete('/storage');
    expect([refused.status, refused.text]).toEqual([400, '4']);
    expect(await ids()).toEqual(['a']);
    expect((await user.delete('/storage', { 'x-confirm-delete': '1' })).status).toBe(200);
    expect((await user.get('/info/collections')).text).toBe('{}');
  });

  it('and writing are held to what was known of the collection', async () => {
    const { text: old } = await user.put('/storage/c/a', { payload: 'x' });
    const { text: at } = await user.put('/storage/c/b', { payload: 'x' });
    for (const [method, path, body] of [
      ['PUT', '/storage/c/a', { payload: 'y' }],
      ['POST', '/storage/c', [{ id: 'a', payload: 'y' }]],
      ['DELETE', '/storage/c/a', undefined],
      ['DELETE', '/storage/c', undefined],
      ['DELETE', '/storage/c?ids=a', undefined],
    ] as const) {
      const headers = { 'x-if-unmodified-since': old };
      expect((await user.request(method, path, { body, headers })).status).toBe(412);
      const bad = { 'x-if-unmodified-since': 'x' };
      expect((await user.request(method, path, { body, headers: bad })).status).toBe(400);
    }
    expect(await ids()).toEqual(['a', 'b']);
    const known = { 'x-if-unmodified-since': at };
    expect((await user.delete('/storage/c/a', known)).status).toBe(200);
  });

  it.each(['/storage/e/a', '/storage/e', '/storage/e?ids=a', '/storage/e?index_above=1'])(
    'is met by an empty collection, which does not exist: DELETE %s',
    async (path) => {
      await user.post('/storage/e', []);
      const never = { 'x-if-unmodified-since': '0' };
      expect((await user.delete(path, never)).status).toBe(200);
      await user.put('/storage/e/a', { payload: 'x' });
      expect((await user.delete(path, never)).status).toBe(412);
    },
  );
});

it('refuses what is over the quota, and says before what is left', async () => {
  const put = (id: string, size: number) =>
    user.put(`/storage/c/${id}`, { payload: 'x'.repeat(size) });
  for (const id of ['a', 'b', 'c', 'd', 'e']) await put(id, 3000);
  expect((await put('f', 3000)).headers.get('x-weave-quota-remaining')).toBe('1.953125');
  const refused = await put('g', 2001);
  expect([refused.status, refused.text]).toEqual([400, '14']);
  expect((await user.delete('/storage/c/a')).status).toBe(200);
  expect((await put('g', 2001)).status).toBe(200);
});
