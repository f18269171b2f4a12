import { z } from 'zod';
import { KEY_PACKAGE_TYPE, KEY_SETTINGS_TYPE } from '#lib/protocol';
import { generateEncryptionKey } from '#lib/crypto';
import { RequestMethod } from '@nestjs/common';
import { KeysModule } from '../../apps/server/src/keys/keys.module.ts';
import { caller, randomId } from '../support/caller.ts';
import { KeyHolder } from '../support/key-holder.ts';
import { TestServer } from '../support/test-server.ts';

interface Document {
  openapi: string;
  paths: Record<string, Record<string, { responses: Record<string, Response> }>>;
  components: { schemas: Record<string, object> };
}
interface Response {
  content?: Record<string, { schema: Record<string, unknown> }>;
}
interface Answer {
  status: number;
  body: unknown;
  text: string;
  headers: Record<string, string>;
}

let server: TestServer;
let document: Document;
let alice: KeyHolder;
let bob: KeyHolder;
const called = new Set<string>();
beforeAll(async () => {
  server = await TestServer.start();
  alice = await KeyHolder.join(server, await caller(server));
  bob = await KeyHolder.join(server, await caller(server));
  document = (await server.request().get('/keys/v1/openapi.json')).body as Document;
});
afterAll(() => server.stop());

/** Holds an answer against what the document says of that request and status. */
function expectAsDocumented(method: string, path: string, answer: Answer): void {
  const what = `${method} ${path}`;
  const response = document.paths[path]?.[method]?.responses[answer.status];
  if (!response) throw new Error(`${what} answered ${answer.status}: not in the document.`);
  called.add(what);
  const type = (answer.headers['content-type'] ?? '').split(';')[0] ?? '';
  if (!response.content) {
    expect([what, answer.text]).toEqual([what, '']);
    return;
  }
  const schema = response.content[type]?.schema;
  if (!schema) throw new Error(`${what} answered ${type}: not in the document.`);
  const isProblem = schema.$ref === '#/components/schemas/Problem';
  const known = isProblem ? document.components.schemas.Problem : schema;
  const read = z.fromJSONSchema(known as never).safeParse(answer.body);
  expect([what, answer.status, read.error?.issues ?? []]).toEqual([what, answer.status, []]);
}

/** GETs, POSTs or PUTs; `path` as in the document, `url` as it is sent. */
async function ask(
  who: KeyHolder | undefined,
  method: 'get' | 'post' | 'put',
  path: string,
  { url = path, body, headers = {} }: { url?: string; body?: object; headers?: object } = {},
): Promise<Answer> {
  const request = server
    .request()
    [method](`/keys/v1${url}`)
    .set(headers as Record<string, string>);
  if (who) void request.set('authorization', await who.who.authorization('keys'));
  const answer = (await (body ? request.send(body) : request)) as unknown as Answer;
  expectAsDocumented(method, path, answer);
  return answer;
}

const signed = (typ: string, change: object) => {
  const { realm: iss, uid: sub, clientId: cid } = alice.place;
  const iat = server.clock.seconds();
  return alice.identity.sign(typ, { v: 1, iss, sub, cid, iat, ...change });
};

it('is OpenAPI 3.1, and names the scope of each request', () => {
  expect(document.openapi).toBe('3.1.0');
  expect(document.paths['/me']?.put).toMatchObject({ security: [{ token: ['keys:write'] }] });
  expect(document.paths['/revocations']?.post).toMatchObject({ security: [] });
});

it('has every route of the server, and no other', () => {
  const controllers = Reflect.getMetadata('controllers', KeysModule) as { prototype: object }[];
  const routes = controllers.flatMap((controller) => {
    const base = Reflect.getMetadata('path', controller) as string;
    return Object.getOwnPropertyNames(controller.prototype).flatMap((name) => {
      const handler = Object.getOwnPropertyDescriptor(controller.prototype, name)?.value as object;
      const method = Reflect.getMetadata('method', handler) as RequestMethod | undefined;
      if (method === undefined) return [];
      const path = Reflect.getMetadata('path', handler) as string;
      const whole = `/${base}/${path}`.replace(/\/+$/, '').replace('/keys/v1', '');
      return [`${RequestMethod[method].toLowerCase()} ${whole.replace(/:(\w+)/g, '{$1}')}`];
    });
  });
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect(documented.sort()).toEqual(routes.sort());
});

it('says what each request is answered with', async () => {
  const uid = alice.who.uid;
  await ask(undefined, 'get', '/config');
  await ask(undefined, 'get', '/openapi.json');
  const { etag = '' } = (await ask(alice, 'get', '/me')).headers;
  await ask(alice, 'get', '/me', { headers: { 'if-none-match': etag } });
  await ask(undefined, 'get', '/me');
  const nobody = Object.assign(Object.create(bob) as KeyHolder, { who: await caller(server) });
  await ask(nobody, 'get', '/me');
  await ask(nobody, 'get', '/me/history');
  await ask(nobody, 'get', '/users/{uid}', { url: `/users/${uid}` });
  expectAsDocumented('put', '/me', await alice.put(await alice.rotated()));
  const third = (await alice.put(alice.next(), {})) as unknown as Answer;
  expectAsDocumented('put', '/me', third);
  const stale = (await alice.put(alice.next(), { 'if-match': '"x"' })) as unknown as Answer;
  expectAsDocumented('put', '/me', stale);
  const anew = (await alice.put(await alice.anew())) as unknown as Answer;
  expectAsDocumented('put', '/me', anew);
  await ask(alice, 'put', '/me', { body: { skl: 'x', wrapped: {} } });
  await ask(alice, 'put', '/me', { body: {} });
  await ask(alice, 'get', '/me/history', { url: '/me/history?limit=1' });
  await ask(alice, 'get', '/me/history', { url: '/me/history?limit=x' });
  const settings = await signed(KEY_SETTINGS_TYPE, { discoverable: 'app' });
  await ask(alice, 'put', '/me/settings', { body: { settings } });
  await ask(alice, 'put', '/me/settings', { body: { settings: 'x' } });
  for (const url of [`/users/${uid}`, `/users/${'0'.repeat(32)}`, '/users/x']) {
    await ask(bob, 'get', '/users/{uid}', { url });
  }
  await ask(bob, 'post', '/lookups', { body: { uids: [uid, '0'.repeat(32)] } });
  await ask(bob, 'post', '/lookups', { body: {} });
  await ask(bob, 'post', '/discoveries', { body: { emails: [alice.who.email, 'x@example.org'] } });
  const { kid, sig } = await alice.revocation();
  const revoked = { uid, cid: alice.who.clientId, kid, sig };
  await ask(undefined, 'post', '/revocations', { body: revoked });
  await ask(undefined, 'post', '/revocations', { body: { ...revoked, sig: 'A'.repeat(86) } });
  await ask(bob, 'get', '/users/{uid}', { url: `/users/${uid}` });
  await ask(alice, 'get', '/me');
  await ask(bob, 'get', '/events', { url: `/events?uid=${uid}` });
  await ask(bob, 'get', '/events', { url: '/events' });
  await ask(bob, 'post', '/events', { body: { uids: [uid], since: '0' } });
  const { publicJwk: key } = await generateEncryptionKey();
  const exp = server.clock.seconds() + 60;
  const one = await signed(KEY_PACKAGE_TYPE, { id: randomId(), exp, key });
  await ask(alice, 'post', '/packages', { body: { packages: [one] } });
  await ask(alice, 'post', '/packages', { body: { packages: ['x'] } });
  await ask(bob, 'post', '/packages/claims', { body: { uid } });
  await ask(bob, 'post', '/packages/claims', { body: { uid } });
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method} ${path}`),
  );
  expect([...called].sort()).toEqual(documented.sort());
});
