import { createHash } from 'node:crypto';
import { Logger } from '@nestjs/common';
import {
  type App,
  type AppFields,
  type AppList,
  type AppWithSecret,
  APP_KEY,
  AVATAR_BYTES_MAX,
} from '#lib/protocol';
import { DeletionsService } from '../../apps/server/src/deletion/deletions.service.ts';
import { ClientsService } from '../../apps/server/src/oauth/clients.service.ts';
import {
  type Account,
  askToken,
  authorizationUrl,
  authorize,
  exchange,
  signUp,
} from '../support/account.ts';
import { Browser } from '../support/browser.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let developer: Account;
let other: Account;
let operator: Account;
beforeAll(async () => {
  server = await TestServer.start({ APP_REGISTRATION: 'anyone' });
  [developer, other, operator] = await Promise.all([
    signUp(server),
    signUp(server),
    signUp(server),
  ]);
  await server.db.query(`INSERT INTO operator (uid, created_at) VALUES ($1, now())`, [
    operator.uid,
  ]);
});
afterAll(() => server.stop());

const PATH = '/apps/v1/apps';
type Method = 'get' | 'post' | 'put' | 'delete';
const call = (method: Method, path: string, who: Account, to = server) =>
  to.request()[method](`${PATH}${path}`).set('authorization', who.authorization);

let names = 0;
/** Fields of an app with a name that no other has. */
const fields = (more: Partial<AppFields> & Record<string, unknown> = {}) => ({
  client_name: `Wren ${(names += 1)}`,
  redirect_uris: ['https://notes.example.org/callback'],
  ...more,
});
const register = async (more: Parameters<typeof fields>[0] = {}, who = developer) =>
  (await call('post', '', who).send(fields(more)).expect(201)).body as AppWithSecret;
const refused = async (more: Record<string, unknown>, who = developer) => {
  const { status, body } = await call('post', '', who).send(fields(more));
  return [status, (body as { detail: string }).detail] as const;
};
const rowOf = async (id: string) => {
  const [row] = await server.db.query<{ secrets: { sha256: string; expires_at?: number }[] }[]>(
    `SELECT secrets FROM oauth_client WHERE id = $1`,
    [id],
  );
  return row;
};
const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url');
const NATIVE = {
  application_type: 'native' as const,
  redirect_uris: ['http://127.0.0.1/callback'],
  scope: 'openid offline_access keys:read storage',
};
const asked = (clientId: string) => ({ clientId, scope: 'keys:read' });
/** Lets a person let an app in. */
const letIn = async (clientId: string, who = other) =>
  (await exchange(server, await authorize(server, who, asked(clientId))).expect(200)).body as {
    access_token: string;
    refresh_token: string;
  };
const tryKeys = (token: string) =>
  server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);
const PNG = Buffer.concat([
  Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
  Buffer.alloc(40),
]);

describe('a developer', () => {
  it('registers an app, which works at once, and sees it with what it has', async () => {
    const { app, client_secret: secret } = await register({ ...NATIVE, client_name: ' Heron  1 ' });
    expect(secret).toBeUndefined();
    expect(app).toEqual({
      ...NATIVE,
      client_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      client_name: 'Heron 1',
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'none',
      secrets: 0,
      owner: { uid: developer.uid, email: developer.email },
      built_in: false,
      users: 0,
      created_at: expect.stringMatching(/Z$/) as string,
      changed_at: app.created_at,
    });
    const { access_token: token } = await letIn(app.client_id);
    await tryKeys(token).expect(404);
    await letIn(app.client_id);
    const { body } = await call('get', `/${app.client_id}`, developer).expect(200);
    expect((body as App).users).toBe(1);
    const list = (await call('get', '', developer).expect(200)).body as AppList;
    expect(list).toMatchObject({ may_register: true, is_operator: false });
    expect(list.apps).toContainEqual(body);
  });

  it('changes an app, and the next request is answered by it', async () => {
    const { app } = await register(NATIVE);
    const change = fields({ ...NATIVE, redirect_uris: ['http://127.0.0.1/other'] });
    const { body } = await call('put', `/${app.client_id}`, developer).send(change).expect(200);
    expect((body as AppWithSecret).app).toMatchObject(change);
    const { url } = authorizationUrl(server, asked(app.client_id));
    expect((await new Browser().go(url)).status).toBe(400);
    url.searchParams.set('redirect_uri', 'http://127.0.0.1:5000/other');
    expect((await new Browser().go(url)).status).toBe(303);
  });

  it('takes an address away, also from who is being asked, and from what was pushed', async () => {
    const web = { scope: 'openid keys:read', redirect_uris: ['https://old.example.org/callback'] };
    const { app } = await register(web);
    const want = { ...asked(app.client_id), redirectUri: 'https://old.example.org/callback' };
    const { url } = authorizationUrl(server, want);
    const browser = new Browser();
    const page = (await browser.go(url)).headers.get('location') ?? '';
    expect(page).toContain('/oauth2/interaction/');
    const pushed = await server
      .request()
      .post('/oauth2/par')
      .type('form')
      .send(url.searchParams.toString())
      .expect(201);
    const changed = fields({ ...web, redirect_uris: ['https://new.example.org/callback'] });
    await call('put', `/${app.client_id}`, developer).send(changed).expect(200);
    const finished = await browser.go(new URL(`${page}/finish`, server.url).href, {
      method: 'POST',
      headers: { authorization: other.authorization, 'content-type': 'application/json' },
      body: JSON.stringify({ consent: true }),
    });
    expect(finished.status).toBe(400);
    expect(await finished.json()).toMatchObject({ error: 'invalid_request' });
    const { request_uri } = pushed.body as { request_uri: string };
    const query = new URLSearchParams({ client_id: app.client_id, request_uri });
    const answer = await new Browser().go(`${server.url}/oauth2/authorize?${query.toString()}`);
    expect([answer.status, answer.headers.get('location')]).toEqual([400, null]);
  });

  it('takes an API away, which may be another developer’s next', async () => {
    const resources = ['https://moved.example.org'];
    const native = { ...NATIVE, scope: 'openid offline_access', resources };
    const { app } = await register(native);
    const want = { clientId: app.client_id, scope: 'openid offline_access', resource: resources };
    const got = await exchange(server, await authorize(server, other, want)).expect(200);
    await call('put', `/${app.client_id}`, developer)
      .send(fields({ ...native, resources: [] }))
      .expect(200);
    await register({ resources }, other);
    const again = {
      ...{ grant_type: 'refresh_token', client_id: app.client_id, resource: resources[0] ?? '' },
      refresh_token: (got.body as { refresh_token: string }).refresh_token,
    };
    const { body } = await askToken(server, again).expect(400);
    expect(body).toMatchObject({ error: 'invalid_target' });
  });

  it('takes a scope away, and with it what was granted under it', async () => {
    const { app } = await register(NATIVE);
    const { access_token: token } = await letIn(app.client_id);
    const keep = { ...NATIVE, scope: 'openid offline_access keys:read' };
    await call('put', `/${app.client_id}`, developer).send(fields(keep)).expect(200);
    await tryKeys(token).expect(404);
    const less = { ...NATIVE, scope: 'openid offline_access storage' };
    await call('put', `/${app.client_id}`, developer).send(fields(less)).expect(200);
    await tryKeys(token).expect(401);
  });

  it('is not let in again unasked with a scope that was taken away and given back', async () => {
    const { app } = await register(NATIVE);
    await letIn(app.client_id);
    // Its tokens have ended, the grant has not.
    await server.db.query(`DELETE FROM oidc WHERE model <> 'Grant' AND payload->>'clientId' = $1`, [
      app.client_id,
    ]);
    const less = { ...NATIVE, scope: 'openid offline_access storage' };
    await call('put', `/${app.client_id}`, developer).send(fields(less)).expect(200);
    await call('put', `/${app.client_id}`, developer).send(fields(NATIVE)).expect(200);
    const left = `SELECT scopes, (SELECT count(*)::int FROM oidc WHERE client_id = $1) AS grants
                    FROM consent WHERE client_id = $1`;
    expect(await server.db.query(left, [app.client_id])).toEqual([{ scopes: [], grants: 0 }]);
  });

  it('gets a secret once, and a new one with a day for the change', async () => {
    const method = 'client_secret_basic';
    const made = await register({ token_endpoint_auth_method: method });
    const { client_id: id } = made.app;
    expect(made.client_secret).toMatch(/^[\w-]{43}$/);
    expect((await rowOf(id))?.secrets).toEqual([{ sha256: sha256(made.client_secret ?? '') }]);
    const rotate = async (now: boolean) => {
      const answer = await call('post', `/${id}/secret`, developer).send({ now }).expect(200);
      return answer.body as AppWithSecret;
    };
    const next = await rotate(false);
    expect(next.app.secrets).toBe(2);
    const secrets = (await rowOf(id))?.secrets;
    expect(secrets?.map((one) => one.sha256)).toEqual(
      [next, made].map((one) => sha256(one.client_secret ?? '')),
    );
    expect(secrets?.[1]?.expires_at).toBeCloseTo(server.clock.seconds() + 86_400, -2);
    const last = await rotate(true);
    expect((await rowOf(id))?.secrets).toEqual([{ sha256: sha256(last.client_secret ?? '') }]);
    const shown = JSON.stringify((await call('get', '', developer)).body);
    for (const one of [made, next, last]) {
      expect(shown).not.toContain(one.client_secret);
      expect(shown).not.toContain(sha256(one.client_secret ?? ''));
    }
    const none = await call('put', `/${id}`, developer).send(fields()).expect(200);
    expect((none.body as AppWithSecret).app.secrets).toBe(0);
    await call('post', `/${id}/secret`, developer).send({}).expect(409);
    const again = fields({ token_endpoint_auth_method: method });
    const { body } = await call('put', `/${id}`, developer).send(again).expect(200);
    expect(body).toMatchObject({
      app: { secrets: 1 },
      client_secret: expect.any(String) as string,
    });
  });

  it('removes an app: every token of it ends, and its id is not given again', async () => {
    const { app } = await register(NATIVE);
    const id = app.client_id;
    const { access_token: token, refresh_token: refresh } = await letIn(id);
    await tryKeys(token).expect(404);
    await call('delete', `/${id}`, developer).expect(204);
    await tryKeys(token).expect(401);
    const form = { grant_type: 'refresh_token', client_id: id, refresh_token: refresh };
    expect((await askToken(server, form)).body).toMatchObject({ error: 'invalid_client' });
    await call('get', `/${id}`, developer).expect(404);
    await call('delete', `/${id}`, developer).expect(404);
    const left = await server.db.query(`SELECT FROM oidc WHERE payload->>'clientId' = $1`, [id]);
    expect(left).toEqual([]);
    expect(await server.db.query(`SELECT FROM removed_app WHERE id = $1`, [id])).toHaveLength(1);
  });

  it('takes the apps along when the account is deleted, and leaves those of others', async () => {
    const gone = await signUp(server);
    const { app } = await register(NATIVE, gone);
    const { app: kept } = await register(NATIVE, other);
    const { access_token: token } = await letIn(app.client_id, developer);
    await server.db.query(`DELETE FROM account WHERE uid = $1`, [gone.uid]);
    const deletions = server.app.get(DeletionsService);
    await deletions.enqueue(server.db.manager, gone.uid);
    deletions.hurry();
    await deletions.settled();
    await tryKeys(token).expect(401);
    await call('get', `/${app.client_id}`, operator).expect(404);
    await call('get', `/${kept.client_id}`, other).expect(200);
  });

  it('gives an app a picture, which this server shows', async () => {
    const { app } = await register();
    const path = `/${app.client_id}/logo`;
    const { body } = await call('put', path, developer).type('image/png').send(PNG).expect(200);
    const { logo = '' } = body as App;
    expect(logo).toMatch(/^\/apps\/logos\/[\w-]{22}\.[\w-]{22}$/);
    const picture = await server.request().get(logo).expect(200);
    expect(picture.headers).toMatchObject({
      'content-type': 'image/png',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
    });
    expect(await server.app.get(ClientsService).face(app.client_id)).toEqual({
      ...{ client_id: app.client_id, name: app.client_name, logo, by: 'developer' },
    });
    await call('delete', path, developer).expect(200);
    await server.request().get(logo).expect(404);
  });
});

describe('what is registered', () => {
  it.each([
    ['a page elsewhere, unencrypted', 'http://notes.example.org/callback'],
    ['a computer of one’s own, for a web app', 'http://127.0.0.1/callback'],
    ['a scheme, for a web app', 'org.example.notes:/callback'],
    ['script', 'javascript:alert(1)'],
    ['data', 'data:text/html,x'],
    ['a user name that looks like a host', 'https://notes.example.org@evil.example/'],
    ['an empty user name', 'https://@evil.example/'],
    ['a wildcard for a host', 'https://*.example.org/callback'],
    ['a wildcard for a path', 'https://notes.example.org/*'],
    ['a fragment', 'https://notes.example.org/callback#x'],
    ['an empty fragment', 'https://notes.example.org/callback#'],
    ['a path that climbs', 'https://notes.example.org/a/../callback'],
    ['a path that climbs in disguise', 'https://notes.example.org/a/%2e%2e/callback'],
    ['a path that climbs for some servers', 'https://notes.example.org/a/..;/callback'],
    ['an encoded slash', 'https://notes.example.org/a%2F..%2Fcallback'],
    ['an encoded percent sign', 'https://notes.example.org/%252e%252e/'],
    ['an encoded null', 'https://notes.example.org/%00'],
    ['a backslash', 'https://notes.example.org\\@evil.example/'],
    ['two slashes', 'https://notes.example.org//evil.example/'],
    ['one slash', 'https:/notes.example.org/callback'],
    ['upper case', 'HTTPS://Notes.example.org/callback'],
    ['the port that goes without saying', 'https://notes.example.org:443/callback'],
    ['a number for an address', 'https://2130706433/callback'],
    ['another alphabet', 'https://nоtes.example.org/callback'],
    ['a line end', 'https://notes.example.org/\ncallback'],
    ['a space', ' https://notes.example.org/callback'],
    ['markup', 'https://notes.example.org/<script>'],
    ['a host with a last dot', 'https://notes.example.org./callback'],
    ['an answer', 'https://notes.example.org/callback?code=1'],
    ['a state', 'https://notes.example.org/callback?a=b&state=1'],
    ['a page of Firefox', 'urn:ietf:wg:oauth:2.0:oob'],
    ['a file', 'file:///etc/passwd'],
    ['no address', 'callback'],
  ])('is no redirect to %s', async (_, uri) => {
    const [status, detail] = await refused({ redirect_uris: [uri] });
    expect(status).toBe(400);
    expect(detail).toMatch(/^redirect_uris: /);
  });

  it.each([
    ['plain http elsewhere', 'http://notes.example.org/callback'],
    ['a host that begins like this computer', 'http://127.0.0.1.evil.example/'],
    ['a host that ends like this computer', 'http://evil-localhost/'],
    ['TLS on this computer', 'https://localhost/callback'],
    ['a scheme without a name', 'notes:/callback'],
    ['a scheme without a path', 'org.example.notes:callback'],
    ['script', 'javascript:alert(1)'],
  ])('is no redirect of a native app to %s', async (_, uri) => {
    const [status] = await refused({ application_type: 'native', redirect_uris: [uri] });
    expect(status).toBe(400);
  });

  it.each([
    ['web', 'https://notes.example.org'],
    ['web', 'https://notes.example.org/callback?from=lockstep'],
    ['web', 'https://xn--ntes-5ta.example.org:8443/callback'],
    ['native', 'http://127.0.0.1/callback'],
    ['native', 'http://[::1]:8080/callback'],
    ['native', 'http://localhost/'],
    ['native', 'org.example.notes:/callback'],
    ['native', 'https://notes.example.org/app'],
  ] as const)('may be, for a %s app, %s', async (type, uri) => {
    const { app } = await register({ application_type: type, redirect_uris: [uri] });
    expect(app.redirect_uris).toEqual([uri]);
    // The library that answers requests takes the row.
    const { url } = authorizationUrl(server, {
      ...{ clientId: app.client_id, scope: 'openid', redirectUri: uri },
    });
    expect((await new Browser().go(url)).status).toBe(303);
  });

  it('is no redirect to this server', async () => {
    const uri = `${server.url}/settings`;
    const [status] = await refused({ application_type: 'native', redirect_uris: [uri] });
    expect(status).toBe(400);
  });

  it.each([
    ['nothing', ''],
    ['signs alone', '...'],
    ['too much', 'x'.repeat(65)],
    ['markup', '<b>Notes</b>'],
    ['what turns text around', 'Notes \u202egro.live'],
    ['what isolates text', 'Notes \u2066x'],
    ['a line end', 'Notes\nYou are safe'],
    ['a null', 'Notes\0'],
    ['what is not seen', 'No\u200btes'],
    ['a letter that is not seen', 'No\u3164tes'],
    ['piled signs', 'Nq\u0300\u0301\u0302otes'],
    ['another’s address', 'notes@example.org'],
    ['a link', 'Notes https://evil.example'],
    ['two alphabets in one word', 'Nоtes'],
    ['this server', 'Lockstep'],
    ['this server, with more', 'Lockstep Security'],
    ['this server, in capitals and spaced', 'L O C K S T E P'],
    ['this server, with a digit', 'L0ckstep'],
    ['this server, with a stroke', 'Łockstep'],
    ['this server, in full width', 'Ｌｏｃｋｓｔｅｐ'],
    ['this server, in bold', '𝐋𝐨𝐜𝐤𝐬𝐭𝐞𝐩'],
    ['a browser', 'Firefox'],
    ['a browser for a phone', 'Firef0x for Andr0id'],
    ['a browser, in another alphabet', 'Ғігеғох'],
    ['a mail program', 'Thunderblrd'],
    ['a browser that is built in', 'Reference Browser'],
    ['the demo that is built in', 'L0ckstep demo'],
    ['the pages of this server', 'Account pages'],
    ['a page of this server', 'Sign-in'],
  ])('has no name that is %s', async (_, name) => {
    const [status, detail] = await refused({ client_name: name });
    expect([400, 409]).toContain(status);
    expect(detail).toMatch(/^client_name: /);
  });

  it.each([
    ['Lisu letters', 'ꓝꓲꓣꓰꓝꓳꓫ'],
    ['Lisu letters, another one', 'ꓡꓳꓚꓗꓢꓔꓰꓑ'],
    ['Cherokee letters', 'ᏞᎾᏟᏦᏚᎢᎬᏢ'],
    ['Coptic letters', 'ⲘⲞⳤⲒⳐⳐⲀ'],
    ['Canadian syllables', 'ᖴIᖇEᖴO᙭'],
    ['small capitals', 'ᴍᴏᴢɪʟʟᴀ'],
    ['a letter of Greenlandic', 'Locĸstep'],
    ['clicks', 'Fǃrefox'],
    ['letters of phonetics', 'ꝼirefox'],
    ['full width', 'Ｆｉｒｅｆｏｘ'],
    ['mathematics', '𝓕𝓲𝓻𝓮𝓯𝓸𝔁'],
    ['circles', 'Ⓕⓘⓡⓔⓕⓞⓧ'],
    ['squares', '🄵🄸🅁🄴🄵🄾🅇'],
    ['flags', '🇫🇮🇷🇪🇫🇴🇽'],
    ['accents', 'Fírêföx'],
    ['signs between', 'F·i·r·e·f·o·x'],
    ['Old Italic letters', '𐌋𐌏𐌂𐌊𐌔𐌕𐌄𐌓'],
    ['Deseret letters', '𐐢𐐄𐐗𐐗𐐝𐐓𐐇𐐙'],
    ['a Tifinagh letter', 'FirefⵔX'],
    ['a Georgian letter', 'Firefოx'],
    ['a digit of another alphabet', 'Firef०x'],
    ['another digit of another alphabet', 'Firefଠx'],
    ['a digit of Arabic', 'Firef٥x'],
    ['a digit', '7hunderbird'],
    ['another digit', 'Mo2illa'],
    ['a Han character', 'Firef〇x'],
    ['a Hangul letter', 'Firefㅇx'],
    ['a circle', 'Firef○x'],
    ['a cross', 'Firefo✕'],
    ['a registered trade mark', 'Fi®efox'],
    ['Armenian letters', 'լօϲկտէք'],
  ])('has no name that is a browser’s in %s', async (_, name) => {
    expect((await refused({ client_name: name }))[0]).toBe(400);
  });

  it('may have a name in any alphabet', async () => {
    const names = [
      ...[
        'Заметки',
        '笔记 2',
        'ملاحظات ٢',
        'Piñata & Co',
        'Яндекс Notes',
        'メモ帳',
        '메모',
        'नोट्स',
      ],
      ...['Σημειώσεις', 'רשימות', 'บันทึก', 'Ghi chú', 'İşıl', 'Ọ̀rọ̀', 'Straße', 'Bøker', 'Żółw'],
      ...['Ŋutiɖoɖo', 'Qeydlər', 'C++ notes', 'Notes™', '🦊 Notes', 'Léonie’s', 'Nº 5', 'x²'],
    ];
    for (const name of names) {
      const { app } = await register({ client_name: name });
      expect(app.client_name).toBe(name);
    }
  });

  it('has no name that looks like another developer’s app, also when both come at once', async () => {
    await register({ client_name: 'Kingfisher' });
    expect(await refused({ client_name: 'Kingf1sher' }, other)).toEqual([
      ...[409, 'client_name: Another app looks the same.'],
    ]);
    await register({ client_name: 'Kingfisher' });
    const both = await Promise.all(
      [developer, other].map((who) => refused({ client_name: 'Sandpiper' }, who)),
    );
    expect(both.map(([status]) => status).sort()).toEqual([201, 409]);
  });

  it.each([
    ['client_uri', 'http://notes.example.org'],
    ['client_uri', 'javascript:alert(1)'],
    ['policy_uri', 'https://a@evil.example/'],
    ['tos_uri', 'data:text/html,x'],
    ['backchannel_logout_uri', 'http://169.254.169.254/'],
    ['backchannel_logout_uri', 'https://169.254.169.254/'],
    ['backchannel_logout_uri', 'https://localhost/'],
    ['resources', ['urn:lockstep:keys']],
    ['resources', ['https://api.example.org/?x']],
    ['resources', ['http://api.example.org/']],
    ['contacts', ['not an address']],
    ['contacts', ['a@example.org\r\nBcc: b@example.org']],
    ['scope', 'openid https://identity.mozilla.com/apps/oldsync'],
    ['scope', 'https://identity.mozilla.com/tokens/session'],
    ['scope', 'profile:write'],
    ['scope', ''],
    ['grant_types', []],
    ['grant_types', ['refresh_token']],
    ['redirect_uris', []],
  ])('has no %s that is %p', async (name, value) => {
    const [status, detail] = await refused({ [name]: value });
    expect([status, detail]).toEqual([400, expect.stringContaining(`${name}: `)]);
  });

  it.each([
    ['trusted', true],
    ['client_id', 'demo-app'],
    ['client_secret', 'x'],
    ['client_secrets', []],
    ['owner', 'a'.repeat(32)],
    ['logo_uri', 'https://evil.example/pixel.png'],
    ['jwks_uri', 'http://169.254.169.254/'],
    ['sector_identifier_uri', 'http://169.254.169.254/'],
    ['grant_types', ['client_credentials']],
    ['grant_types', ['implicit']],
    ['response_types', ['token']],
    ['token_endpoint_auth_method', 'private_key_jwt'],
  ])('says nothing of %s as %p', async (name, value) => {
    expect((await refused({ [name]: value }))[0]).toBe(400);
  });

  it('is no secret of what everybody installs', async () => {
    const native = { ...NATIVE, token_endpoint_auth_method: 'client_secret_post' };
    expect((await refused(native))[0]).toBe(400);
  });

  it('is no API of another developer, whose users’ tokens would then fit', async () => {
    const resources = ['https://api.wren.example'];
    const { app } = await register({ resources });
    expect((await refused({ resources }, other))[0]).toBe(409);
    // An API that compares addresses, and not letters, would take it for its own.
    expect((await refused({ resources: ['https://api.wren.example/'] }, other))[0]).toBe(409);
    const { app: mine } = await register({}, other);
    const change = call('put', `/${mine.client_id}`, other).send(fields({ resources }));
    await change.expect(409);
    await register({ resources });
    expect((await refused({ resources: [`${server.url}/api`] }))[0]).toBe(400);
    expect(app.resources).toEqual(resources);
  });
});

describe('another', () => {
  it('developer reads, changes, rotates and removes nothing, and learns nothing', async () => {
    const { app } = await register({ token_endpoint_auth_method: 'client_secret_post' });
    const path = `/${app.client_id}`;
    const before = await rowOf(app.client_id);
    const missing = (await call('get', '/nobody', other)).body as object;
    for (const request of [
      call('get', path, other),
      call('put', path, other).send(fields()),
      call('post', `${path}/secret`, other).send({ now: true }),
      call('put', `${path}/logo`, other).type('image/png').send(PNG),
      call('delete', `${path}/logo`, other),
      call('delete', path, other),
    ]) {
      const { status, body } = await request;
      expect([status, body]).toEqual([404, missing]);
    }
    const list = (await call('get', '', other).expect(200)).body as AppList;
    expect(list.apps.map((one) => one.client_id)).not.toContain(app.client_id);
    expect(await rowOf(app.client_id)).toEqual(before);
    expect((await call('get', path, developer).expect(200)).body).toEqual(app);
  });

  it('person at a page that was left open changes nothing without the password', async () => {
    const away = await signUp(server);
    const { app } = await register({ token_endpoint_auth_method: 'client_secret_post' }, away);
    const path = `/${app.client_id}`;
    await server.db.query(
      `UPDATE session SET auth_at = auth_at - interval '1 hour' WHERE uid = $1`,
      [away.uid],
    );
    await call('get', path, away).expect(200);
    for (const request of [
      call('post', '', away).send(fields()),
      call('put', path, away).send(fields()),
      call('post', `${path}/secret`, away).send({}),
      call('put', `${path}/logo`, away).type('image/png').send(PNG),
      call('delete', `${path}/logo`, away),
      call('delete', path, away),
    ]) {
      const { status, body } = await request;
      expect([status, (body as { type: string }).type]).toEqual([400, '/problems/stale-auth']);
    }
    expect((await call('get', path, away)).body).toEqual(app);
  });

  it('site can do nothing with the visitor’s browser, which has no cookie for it', async () => {
    const none = server.request().post(PATH).set('origin', 'https://evil.example').send(fields());
    await none.expect(401);
    const form = call('post', '', developer).type('form').send({ client_name: 'x' });
    await form.expect(415);
    const text = call('post', '', developer).type('text/plain').send(JSON.stringify(fields()));
    await text.expect(415);
    const preflight = await server
      .request()
      .options(PATH)
      .set({ origin: 'https://evil.example', 'access-control-request-method': 'POST' });
    expect(preflight.headers).not.toHaveProperty('access-control-allow-origin');
  });

  it('kind of file is no picture', async () => {
    const { app } = await register();
    const path = `/${app.client_id}/logo`;
    const send = (type: string, body: Buffer | string) =>
      call('put', path, developer).type(type).send(body);
    await send('image/png', Buffer.from('<svg onload="alert(1)"/>')).expect(415);
    await send('image/svg+xml', Buffer.from('<svg/>')).expect(415);
    await send('image/png', Buffer.concat([PNG, Buffer.alloc(AVATAR_BYTES_MAX)])).expect(413);
    await send('application/json', '{}').expect(415);
    await send('text/html', '<p>').expect(415);
    const { body } = await call('get', `/${app.client_id}`, developer);
    expect(body).not.toHaveProperty('logo');
  });
});

describe('the operator', () => {
  it('sees and looks after every app', async () => {
    const { app } = await register();
    const { body } = await call('get', '', operator).expect(200);
    const { apps, is_operator: isOperator } = body as AppList;
    expect(isOperator).toBe(true);
    expect(apps.map((one) => one.client_id)).toEqual(
      expect.arrayContaining([app.client_id, 'demo-app', '5882386c6d801776']),
    );
    const change = fields({ client_uri: 'https://notes.example.org' });
    await call('put', `/${app.client_id}`, operator).send(change).expect(200);
    const now = (await call('get', `/${app.client_id}`, developer)).body as App;
    expect(now).toMatchObject({ ...change, owner: { uid: developer.uid } });
    await call('delete', `/${app.client_id}`, operator).expect(204);
    const { app: own } = await register({}, operator);
    expect(own.owner).toBeNull();
    expect(await server.app.get(ClientsService).face(own.client_id)).toMatchObject({
      by: 'operator',
    });
  });

  it('does not change by accident what comes with the server', async () => {
    for (const id of ['demo-app', '5882386c6d801776']) {
      await call('put', `/${id}`, operator).send(fields()).expect(403);
      await call('post', `/${id}/secret`, operator).send({}).expect(403);
      await call('put', `/${id}/logo`, operator).type('image/png').send(PNG).expect(403);
      await call('delete', `/${id}`, operator).expect(403);
    }
    await server.db.query(
      `INSERT INTO oauth_client (id, metadata) VALUES ('fox', '{"client_id": "fox", "trusted": true}')`,
    );
    await call('delete', '/fox', operator).expect(403);
    await server.db.query(`DELETE FROM oauth_client WHERE id = 'fox'`);
  });
});

it('lets only the operator register, unless it is told otherwise', async () => {
  const closed = await TestServer.start({ BUDGETS: '' });
  try {
    const [someone, boss] = await Promise.all([signUp(closed), signUp(closed)]);
    await call('post', '', someone, closed).send(fields()).expect(403);
    const list = await call('get', '', someone, closed).expect(200);
    expect(list.body).toEqual({ apps: [], may_register: false, is_operator: false });
    await closed.db.query(`INSERT INTO operator (uid, created_at) VALUES ($1, now())`, [boss.uid]);
    // Ten a day, also for an operator; what was mistyped does not count.
    for (let i = 0; i < 11; i++) {
      await call('post', '', boss, closed)
        .send(fields({ redirect_uris: ['http://notes.example.org/'] }))
        .expect(400);
    }
    for (let i = 0; i < 10; i++) {
      await call('post', '', boss, closed).send(fields()).expect(201);
    }
    await call('post', '', boss, closed).send(fields()).expect(429);
  } finally {
    await closed.stop();
  }
});

it('lets a developer have fifty apps', async () => {
  const many = await signUp(server);
  await server.db.query(
    `INSERT INTO oauth_client (id, metadata, owner)
     SELECT 'many-' || i, jsonb_build_object('client_id', 'many-' || i, 'client_name', 'Many ' || i), $1
       FROM generate_series(1, 50) i`,
    [many.uid],
  );
  expect((await refused({}, many))[0]).toBe(507);
});

it('logs no secret', async () => {
  const lines: unknown[][] = [];
  const keep = (...words: unknown[]) => lines.push(words);
  Logger.overrideLogger({ log: keep, warn: keep, error: keep });
  try {
    const { app, client_secret: secret } = await register({
      token_endpoint_auth_method: 'client_secret_basic',
      scope: `openid ${APP_KEY}`,
    });
    await call('post', `/${app.client_id}/secret`, developer).send({}).expect(200);
    const said = JSON.stringify(lines);
    expect(said).toContain('/apps/v1/apps/:id/secret');
    expect(said).not.toContain(secret);
    expect(said).not.toContain(sha256(secret ?? ''));
    expect(said).not.toContain(app.client_id);
  } finally {
    Logger.overrideLogger(false);
  }
});
