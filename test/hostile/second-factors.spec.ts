import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RequestMethod } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import {
  type Account,
  authorizationUrl,
  bearerOf,
  passPage,
  signUp,
  tokenFor,
} from '../support/account.ts';
import { get, post } from '../support/account-api.ts';
import { Authenticator, type Lies, type Options } from '../support/authenticator.ts';
import {
  addTotp,
  halfSignIn,
  nextCode,
  signUpTwoStep,
  type TwoStep,
  wrongCode,
} from '../support/factors.ts';
import { KeyHolder } from '../support/key-holder.ts';
import { forget, stretch, typedBearer } from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const UNKNOWN = bearerOf('ab'.repeat(32));

/** Every route of every controller, with something in the place of its parameters. */
function routes(): { method: string; path: string }[] {
  const asList = (path: unknown) => [path].flat() as string[];
  return [...server.app.get(ModulesContainer).values()].flatMap((module) =>
    [...module.controllers.values()].flatMap(({ metatype }) => {
      if (!metatype) return [];
      const bases = asList(Reflect.getMetadata('path', metatype));
      const { prototype } = metatype as { prototype: object };
      return Object.getOwnPropertyNames(prototype).flatMap((name) => {
        const handler: unknown = Object.getOwnPropertyDescriptor(prototype, name)?.value;
        if (typeof handler !== 'function') return [];
        const method = Reflect.getMetadata('method', handler) as RequestMethod | undefined;
        if (method === undefined) return [];
        return bases.flatMap((base) =>
          asList(Reflect.getMetadata('path', handler)).map((path) => ({
            method: RequestMethod[method] === 'ALL' ? 'GET' : RequestMethod[method],
            path: `/${base}/${path}`
              .replaceAll(/\/+/g, '/')
              .replaceAll(/:[^/]+|\*[^/]*/g, 'abc')
              .replace(/(?<=.)\/$/, ''),
          })),
        );
      });
    }),
  );
}

/** What a sign-in needs that lacks its second factor. A new route stands here only with good reason. */
const SECOND_STEP = new Set([
  'GET /auth/v1/session/status',
  'GET /auth/v1/recovery_email/status',
  'GET /auth/v1/factors',
  'GET /auth/v1/totp/exists',
  'POST /auth/v1/session/verify/totp',
  'POST /auth/v1/session/verify/recoveryCode',
  'POST /auth/v1/session/verify/passkey/start',
  'POST /auth/v1/session/verify/passkey',
  'POST /auth/v1/session/destroy',
]);

describe('who has the password alone', () => {
  it('gets no further than a stranger, on every route that there is', async () => {
    const account = await signUpTwoStep(server);
    const { authorization } = await halfSignIn(server, account);
    const all = routes();
    expect(all.length).toBeGreaterThan(100);
    const further: string[] = [];
    const ask = async (method: string, path: string, by: string) => {
      const answer = await fetch(`${server.url}${path}`, {
        ...{ method, redirect: 'manual', signal: AbortSignal.timeout(10_000) },
        headers: { authorization: by, 'content-type': 'application/json' },
        ...(!['GET', 'HEAD'].includes(method) && { body: '{}' }),
      });
      const text = await answer.text();
      const { errno, code } = (text.startsWith('{') ? JSON.parse(text) : {}) as {
        errno?: number;
        code?: unknown;
      };
      // Whatever the format, its sentence is the same.
      const isRefused = text.includes('The second factor was not given yet.');
      return { isRefused, as: JSON.stringify([answer.status, errno, code]) };
    };
    for (const { method, path } of all) {
      if (SECOND_STEP.has(`${method} ${path}`)) continue;
      const half = await ask(method, path, authorization);
      if (half.isRefused) continue;
      const stranger = await ask(method, path, UNKNOWN);
      if (half.as !== stranger.as) further.push(`${method} ${path} ${half.as} ${stranger.as}`);
    }
    expect(further).toEqual([]);
  });

  it('has no keys by signing out before the second step', async () => {
    const account = await signUpTwoStep(server);
    const half = await halfSignIn(server, account, '?keys=true');
    const by = typedBearer('keyFetchToken', half.keyFetchToken ?? '');
    expect((await get(server, 'account/keys', by).expect(400)).body.errno).toBe(138);
    await post(server, 'session/destroy', {}, half.authorization).expect(200);
    await get(server, 'account/keys', by).expect(401);
  });

  it('cannot add a factor of his own, nor send others away', async () => {
    const account = await signUpTwoStep(server);
    const { authorization } = await halfSignIn(server, account);
    const keeper = typedBearer('sessionToken', account.sessionToken).replace('Bearer fxs_', '');
    const other = { customSessionToken: keeper };
    const sent = await post(server, 'session/destroy', other, authorization).expect(400);
    expect(sent.body.errno).toBe(138);
    await get(server, 'session/status', account.authorization).expect(200);
    await post(server, 'session/destroy', {}, authorization).expect(200);
  });

  it('cannot turn on what waits to be proven, in a session that is older than five minutes', async () => {
    const account = await signUp(server);
    const { body } = await post(server, 'totp/create', {}, account.authorization).expect(200);
    server.clock.advance(360);
    const code = nextCode(server, body.secret);
    const given = post(server, 'session/verify/totp', { code }, account.authorization);
    expect((await given.expect(400)).body.errno).toBe(164);
  });

  it('cannot turn one on where the address is not verified', async () => {
    const body = { email: `x-${Date.now()}@example.org`, authPW: 'ab'.repeat(32) };
    const made = await post(server, 'account/create', body).expect(200);
    const by = bearerOf(made.body.sessionToken);
    expect((await post(server, 'totp/create', {}, by).expect(400)).body.errno).toBe(104);
  });
});

describe('guessing six digits', () => {
  it('ends after ten wrong ones, whichever clients they come from, and the owner has a way in', async () => {
    const one = await TestServer.start({ BUDGETS: 'all=1000000/60,factor.account=10/900' });
    const account = await signUpTwoStep(one);
    const { authorization } = await halfSignIn(one, account);
    const code = wrongCode(one, account.secret);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => post(one, 'session/verify/totp', { code }, authorization)),
    );
    expect(answers.filter(({ body }) => body.errno === 183)).toHaveLength(10);
    expect(answers.filter(({ body }) => body.errno === 114)).toHaveLength(10);
    // Also the right one is refused now; what nobody can guess is not.
    const right = { code: nextCode(one, account.secret) };
    await post(one, 'session/verify/totp', right, authorization).expect(429);
    const [backup = ''] = account.backupCodes;
    await post(one, 'session/verify/recoveryCode', { code: backup }, authorization).expect(200);
    // The wait is longer the next time.
    one.clock.advance(901);
    const again = await halfSignIn(one, account);
    const wrong = { code: wrongCode(one, account.secret) };
    for (let i = 0; i < 10; i++) {
      await post(one, 'session/verify/totp', wrong, again.authorization).expect(400);
    }
    const { body } = await post(one, 'session/verify/totp', wrong, again.authorization).expect(429);
    expect(body.retryAfter).toBeGreaterThan(1000);
    await one.stop();
  });

  it('by who reads the mail does not lock the one out who has the password', async () => {
    const one = await TestServer.start({ BUDGETS: 'all=1000000/60,factor.account=2/900' });
    const account = await signUpTwoStep(one);
    const by = typedBearer('accountResetToken', await forget(one, account));
    const code = wrongCode(one, account.secret);
    for (const status of [400, 400, 429]) {
      await post(one, 'totp/verify', { code }, by).expect(status);
    }
    const { authorization } = await halfSignIn(one, account);
    const right = { code: nextCode(one, account.secret) };
    await post(one, 'session/verify/totp', right, authorization).expect(200);
    await one.stop();
  });

  it('is nothing that a stranger can do, who has neither', async () => {
    await post(server, 'session/verify/totp', { code: '123456' }).expect(401);
    await post(server, 'totp/verify', { code: '123456' }).expect(401);
    const account = await signUpTwoStep(server);
    const sent = await post(server, 'password/forgot/send_code', { email: account.email });
    const forgot = typedBearer('passwordForgotToken', sent.body.passwordForgotToken);
    await post(server, 'totp/verify', { code: '123456' }, forgot).expect(401);
  });
});

describe('a way around the second factor', () => {
  it('is no change of the password that began before there was one', async () => {
    const account = await signUp(server);
    const { email } = account;
    const { authPW } = await stretch(email, account.password);
    const begun = await post(
      server,
      'password/change/start',
      { email, oldAuthPW: authPW },
      account.authorization,
    ).expect(200);
    await addTotp(server, account.authorization);
    const by = typedBearer('passwordChangeToken', begun.body.passwordChangeToken);
    const finish = { authPW: 'cd'.repeat(32), wrapKb: 'ef'.repeat(32) };
    const { body } = await post(server, 'password/change/finish', finish, by).expect(400);
    expect(body.errno).toBe(160);
    await post(server, 'account/login', { email, authPW }).expect(200);
  });

  it('is no reset whose leave was given before there was one', async () => {
    const account = await signUp(server);
    const by = typedBearer('accountResetToken', await forget(server, account));
    await addTotp(server, account.authorization);
    const { body } = await post(server, 'account/reset', { authPW: 'cd'.repeat(32) }, by).expect(
      400,
    );
    expect(body.errno).toBe(160);
  });

  /** An app in which somebody has keys: tries to have the identity made anew, with a token from a session. */
  async function appOf(one: TwoStep) {
    const tokenIn = (authorization: string) =>
      tokenFor(server, { ...one, authorization }, { scope: 'keys:read keys:write' });
    let token = await tokenIn(one.authorization);
    const holder = await KeyHolder.join(server, {
      ...{ uid: one.uid, email: one.email, clientId: 'demo-app' },
      authorization: () => Promise.resolve(`Bearer ${token.access_token}`),
    });
    return async (session: string) => {
      token = await tokenIn(session);
      const { status, body } = await holder.put(await holder.anew(), { 'if-match': holder.etag });
      return [status, body.type];
    };
  }
  const reauth = async ({ email, password }: Account, session: string) => {
    const { authPW } = await stretch(email, password);
    await post(server, 'session/reauth', { email, authPW }, session).expect(200);
  };

  it('is no app that has an identity made anew, in a session from before there was a factor', async () => {
    const account = await signUp(server);
    const { authorization: old } = await halfSignIn(server, account);
    const one = { ...account, ...(await addTotp(server, account.authorization)) };
    server.clock.advance(360);
    await reauth(one, old);
    const startAnew = await appOf(one);
    expect(await startAnew(old)).toEqual([401, '/problems/step-up-required']);
    // Nor one that says when it wants somebody to have signed in.
    const { url } = authorizationUrl(server, { scope: 'openid' });
    url.searchParams.set('max_age', '300');
    await expect(passPage(server, { ...one, authorization: old }, url)).rejects.toThrow();
    const code = nextCode(server, one.secret);
    await post(server, 'session/verify/totp', { code }, old).expect(200);
    await passPage(server, { ...one, authorization: old }, url);
  });

  it('is no app that has an identity made anew, in a session that lies open', async () => {
    const one = await signUpTwoStep(server);
    server.clock.advance(360);
    await reauth(one, one.authorization);
    const startAnew = await appOf(one);
    expect(await startAnew(one.authorization)).toEqual([401, '/problems/step-up-required']);
    const code = nextCode(server, one.secret);
    await post(server, 'session/verify/totp', { code }, one.authorization).expect(200);
    expect(await startAnew(one.authorization)).toEqual([200, undefined]);
  });

  it('is no secret that was made and not proven: the next one takes its place', async () => {
    const account = await signUp(server);
    const first = await post(server, 'totp/create', {}, account.authorization).expect(200);
    await post(server, 'totp/create', {}, account.authorization).expect(200);
    const code = nextCode(server, first.body.secret);
    await post(server, 'session/verify/totp', { code }, account.authorization).expect(400);
  });
});

describe('passkeys', () => {
  async function withPasskey() {
    const account = await signUp(server);
    const { authorization } = account;
    const key = new Authenticator(server.url);
    const started = await post(server, 'passkey/registration/start', {}, authorization).expect(200);
    const asked = { name: 'A key', response: key.register(started.body as Options) };
    const kept = await post(server, 'passkey/registration/finish', asked, authorization).expect(
      200,
    );
    return { account, key, kept: kept.body as { recoveryCodes: string[]; credentialId: string } };
  }
  const challengeFor = async (authorization: string) =>
    (await post(server, 'session/verify/passkey/start', {}, authorization).expect(200))
      .body as Options;
  const give = (authorization: string, response: object) =>
    post(server, 'session/verify/passkey', { response }, authorization);

  it('are a second factor, and come with backup codes when they are the first', async () => {
    const { account, key, kept } = await withPasskey();
    expect(kept.recoveryCodes).toHaveLength(10);
    const { authorization } = await halfSignIn(server, account);
    await give(authorization, key.prove(await challengeFor(authorization))).expect(200, {});
    const { body } = await get(server, 'session/status', authorization).expect(200);
    expect(body.details.sessionVerificationMethod).toBe('passkey');
  });

  const lies: [string, Lies, number][] = [
    ['another origin', { origin: 'https://evil.example' }, 227],
    ['another host', { rpId: 'evil.example' }, 227],
    ['another challenge', { challenge: 'AAAA' }, 227],
    ['the answer to a registration', { type: 'webauthn.create' }, 227],
    ['a counter that does not rise', { counter: 0 }, 227],
    ['an id that nobody has', { id: 'AAAA' }, 227],
  ];
  it.each(lies)('are refused with %s', async (_, lie, errno) => {
    const { account, key } = await withPasskey();
    const first = await halfSignIn(server, account);
    await give(first.authorization, key.prove(await challengeFor(first.authorization))).expect(200);
    const { authorization } = await halfSignIn(server, account);
    const options = await challengeFor(authorization);
    const { body } = await give(authorization, key.prove(options, lie)).expect(400);
    expect(body.errno).toBe(errno);
    // The challenge went with it: the right answer comes too late.
    expect((await give(authorization, key.prove(options)).expect(400)).body.errno).toBe(229);
  });

  it('answer a challenge once, in five minutes, and in the session that it was given to', async () => {
    const { account, key } = await withPasskey();
    const mine = await halfSignIn(server, account);
    const other = await halfSignIn(server, account);
    const options = await challengeFor(mine.authorization);
    expect((await give(other.authorization, key.prove(options)).expect(400)).body.errno).toBe(229);
    await challengeFor(other.authorization);
    expect((await give(other.authorization, key.prove(options)).expect(400)).body.errno).toBe(227);
    const response = key.prove(options);
    await give(mine.authorization, response).expect(200);
    expect((await give(mine.authorization, response).expect(400)).body.errno).toBe(229);
    const late = await challengeFor(mine.authorization);
    server.clock.advance(301);
    expect((await give(mine.authorization, key.prove(late)).expect(400)).body.errno).toBe(229);
  });

  it('of another account are none of this one', async () => {
    const { account } = await withPasskey();
    const stranger = await withPasskey();
    const { authorization } = await halfSignIn(server, account);
    const options = await challengeFor(authorization);
    const { body } = await give(authorization, stranger.key.prove(options)).expect(400);
    expect(body.errno).toBe(227);
  });

  it('cannot be taken over by registering their id elsewhere', async () => {
    const { key } = await withPasskey();
    const { authorization } = await signUp(server);
    const { body } = await post(server, 'passkey/registration/start', {}, authorization).expect(
      200,
    );
    const asked = { name: 'Mine', response: key.register(body as Options) };
    const kept = await post(server, 'passkey/registration/finish', asked, authorization).expect(
      400,
    );
    expect(kept.body.errno).toBe(225);
  });

  it('are not registered for another origin, or what is no passkey at all', async () => {
    const { authorization } = await signUp(server);
    const key = new Authenticator(server.url);
    const start = async () =>
      (await post(server, 'passkey/registration/start', {}, authorization).expect(200))
        .body as Options;
    const finish = (response: object) =>
      post(server, 'passkey/registration/finish', { name: 'A key', response }, authorization);
    const foreign = key.register(await start(), { origin: 'https://evil.example' });
    expect((await finish(foreign).expect(400)).body.errno).toBe(227);
    const broken = key.register(await start());
    broken.response.attestationObject = Buffer.from('nonsense').toString('base64url');
    expect((await finish(broken).expect(400)).body.errno).toBe(227);
    expect((await finish(key.register({ challenge: 'AAAA' })).expect(400)).body.errno).toBe(229);
    expect((await get(server, 'factors', authorization).expect(200)).body.passkeys).toBe(0);
  });

  it('have the server call no address that their certificates name', async () => {
    const { authorization } = await signUp(server);
    const heard: string[] = [];
    const inside = createServer((request, response) => {
      heard.push(request.url ?? '');
      response.end();
    }).listen(0, '127.0.0.1');
    await once(inside, 'listening');
    const { port } = inside.address() as AddressInfo;
    const key = new Authenticator(server.url);
    const started = await post(server, 'passkey/registration/start', {}, authorization).expect(200);
    const crl = `http://127.0.0.1:${port}/inside`;
    const asked = { name: 'A key', response: key.register(started.body as Options, { crl }) };
    const kept = await post(server, 'passkey/registration/finish', asked, authorization);
    expect([kept.status, kept.body.errno]).toEqual([400, 227]);
    expect(heard).toEqual([]);
    inside.close();
  });

  it('are renamed and removed by their owner alone', async () => {
    const { account, kept } = await withPasskey();
    const { authorization } = await withPasskey().then((other) => other.account);
    const { credentialId } = kept;
    const renamed = { credentialId, name: 'Yours' };
    expect(
      (await post(server, 'passkey/rename', renamed, authorization).expect(400)).body.errno,
    ).toBe(224);
    const remove = (by: string) =>
      server.request().delete(`/auth/v1/passkey/${credentialId}`).set('authorization', by);
    expect((await remove(authorization).expect(400)).body.errno).toBe(224);
    await post(server, 'passkey/rename', renamed, account.authorization).expect(200);
    const { body } = await get(server, 'passkeys', account.authorization).expect(200);
    expect(body).toMatchObject([
      { credentialId, name: 'Yours', lastUsedAt: null, isSynced: false },
    ]);
    await remove(account.authorization).expect(200);
    expect(await halfSignIn(server, account)).toMatchObject({ verified: true });
  });

  it('stand for the authenticator at a reset of the password', async () => {
    const { account, key } = await withPasskey();
    const by = typedBearer('accountResetToken', await forget(server, account));
    expect((await post(server, 'account/reset', { authPW: 'cd'.repeat(32) }, by)).body.errno).toBe(
      160,
    );
    const { body } = await post(server, 'totp/verify/passkey/start', {}, by).expect(200);
    const response = key.prove(body as Options);
    await post(server, 'totp/verify/passkey', { response }, by).expect(200);
    await post(server, 'account/reset', { authPW: 'cd'.repeat(32) }, by).expect(200);
  });
});
