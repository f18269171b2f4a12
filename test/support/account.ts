import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  deriveAuthPW,
  deriveScopedKey,
  deriveToken,
  deriveUnwrapBKey,
  fromBase64Url,
  fromHex,
  fromUtf8,
  openKeysBundle,
  quickStretch,
  sealScopedKeys,
  toBase64Url,
  toHex,
  xor,
} from '#lib/crypto';
import {
  APP_KEY,
  InteractionDetails,
  InteractionFinished,
  KeysBundle,
  ScopedKeyDataByScope,
  SignedIn,
  TokenAnswer,
} from '#lib/protocol';
import { MailerService } from '../../apps/server/src/mail/mailer.service.ts';
import { Browser } from './browser.ts';
import type { TestServer } from './test-server.ts';

/** A verified account, signed in on one device. */
export interface Account {
  uid: string;
  email: string;
  password: string;
  /** 32 bytes in hex. */
  sessionToken: string;
  /** `Bearer fxs_…`: what session calls take in the Authorization header. */
  authorization: string;
  /** 32 bytes. */
  kA: Uint8Array;
  /** 32 bytes. */
  kB: Uint8Array;
}

/** Signs up with onepw, verifies the address by the mailed code, and fetches the keys. */
export async function signUp(
  server: TestServer,
  {
    email = `user-${randomBytes(6).toString('hex')}@example.org`,
    password = 'pässwörd',
    invitation = undefined as string | undefined,
  } = {},
): Promise<Account> {
  const stretched = await quickStretch(email, password);
  const authPW = toHex(deriveAuthPW(stretched));
  const body = { email, authPW, ...(invitation !== undefined && { invitation }) };
  const answer = await server.request().post('/auth/v1/account/create?keys=true').send(body);
  const { uid, sessionToken, keyFetchToken, verified } = SignedIn.parse(answer.body);
  if (!verified) {
    const code = await mailedCode(server, uid);
    await server
      .request()
      .post('/auth/v1/recovery_email/verify_code')
      .send({ uid, code })
      .expect(200);
  }
  const { id, bundleKey } = deriveToken(fromHex(keyFetchToken ?? ''), 'keyFetchToken');
  const keys = await server
    .request()
    .get('/auth/v1/account/keys')
    .set('authorization', `Bearer fxk_${toHex(id)}`)
    .expect(200);
  const { kA, wrapKb } = openKeysBundle(bundleKey, fromHex(KeysBundle.parse(keys.body).bundle));
  const kB = xor(wrapKb, deriveUnwrapBKey(stretched));
  return { uid, email, password, sessionToken, authorization: bearerOf(sessionToken), kA, kB };
}

/** The Authorization header of a session, as the tools that do not sign with Hawk send it. */
export const bearerOf = (sessionToken: string) =>
  `Bearer fxs_${toHex(deriveToken(fromHex(sessionToken), 'sessionToken').id)}`;

/** Every message that was mailed, oldest first, as text. */
export async function mails(server: TestServer): Promise<string[]> {
  await server.app.get(MailerService).settled();
  const folder = join(server.config.dataDir, 'mail');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.eml')).sort();
  return Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
}

/** The newest code that was mailed to an account. */
export async function mailedCode(server: TestServer, uid: string): Promise<string> {
  const codes = (await mails(server))
    .filter((mail) => mail.includes(`X-Uid: ${uid}`))
    .flatMap((mail) => /^X-Verify-Code: ([0-9a-f]{32})$/m.exec(mail)?.[1] ?? []);
  const code = codes.at(-1);
  if (code === undefined) throw new Error(`No code was mailed to ${uid}`);
  return code;
}

/** What an app asks for. `resource` is one of `audiences`, or several. */
export interface Asked {
  clientId?: string;
  scope: string;
  resource?: string | string[];
  /** The app's ephemeral public key, base64url of a JWK; asks for kBr with the scope `app_key`. */
  keysJwk?: string;
  redirectUri?: string;
}

/** An authorization code, and what its exchange needs. */
export interface Authorized {
  code: string;
  verifier: string;
  redirectUri: string;
  clientId: string;
}

/** The address of the authorization page for an app's request, and the verifier of its PKCE. */
export function authorizationUrl(server: TestServer, asked: Asked) {
  const verifier = randomBytes(32).toString('base64url');
  const url = new URL('/oauth2/authorize', server.url);
  const redirectUri = asked.redirectUri ?? 'http://127.0.0.1:41999/callback';
  const clientId = asked.clientId ?? 'demo-app';
  url.search = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: asked.scope,
    state: 'xyz',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(asked.keysJwk !== undefined && { keys_jwk: asked.keysJwk }),
  }).toString();
  for (const resource of [asked.resource ?? []].flat())
    url.searchParams.append('resource', resource);
  return { url, verifier, redirectUri, clientId };
}

/** Walks the authorization page as the account's browser would, up to the code. */
export async function authorize(
  server: TestServer,
  account: Account,
  asked: Asked,
): Promise<Authorized> {
  const { url, ...rest } = authorizationUrl(server, asked);
  const code = (await passPage(server, account, url)).searchParams.get('code');
  if (code === null) throw new Error('The server gave no code');
  return { code, ...rest };
}

/** Consents on the page that an authorization request leads to; returns where the app is sent. */
export async function passPage(
  server: TestServer,
  account: Account,
  url: URL,
  browser = new Browser(),
): Promise<URL> {
  const asked = await browser.go(url);
  const page = new URL(asked.headers.get('location') ?? '', server.url);
  if (!page.pathname.startsWith('/oauth2/interaction/')) {
    throw new Error(`No page but ${asked.status} ${page.href} ${await asked.text()}`);
  }
  const details = await (await browser.go(`${page.href}/details`)).json();
  const { client, keys_jwk } = InteractionDetails.parse(details);
  const finished = await browser.go(`${page.href}/finish`, {
    method: 'POST',
    headers: { authorization: account.authorization, 'content-type': 'application/json' },
    body: JSON.stringify({
      consent: true,
      ...(keys_jwk !== undefined && {
        keys_jwe: await sealAppKey(server, account, client.client_id, keys_jwk),
      }),
    }),
  });
  const { redirect } = InteractionFinished.parse(await finished.json());
  const back = await browser.go(redirect);
  return new URL(back.headers.get('location') ?? '');
}

/** kBr, encrypted to the app: what the sign-in page does, with kB. */
export async function sealAppKey(
  server: TestServer,
  account: Account,
  clientId: string,
  jwk: string,
): Promise<string> {
  const to = JSON.parse(fromUtf8(fromBase64Url(jwk))) as Parameters<typeof sealScopedKeys>[0];
  return sealScopedKeys(to, await keysFor(server, account, clientId));
}

/** The keys of an app, by scope, as they go to it. */
async function keysFor(server: TestServer, account: Account, clientId: string) {
  const answer = await server
    .request()
    .post('/auth/v1/account/scoped-key-data')
    .set('authorization', account.authorization)
    .send({ client_id: clientId, scope: APP_KEY });
  const data = ScopedKeyDataByScope.parse(answer.body)[APP_KEY];
  if (!data) throw new Error('No key data');
  const { k, kid } = deriveScopedKey({
    kB: account.kB,
    uid: fromHex(account.uid),
    identifier: data.identifier,
    keyRotationSecret: fromHex(data.keyRotationSecret),
    keyRotationTimestamp: data.keyRotationTimestamp,
  });
  return {
    [APP_KEY]: { kty: 'oct' as const, k: toBase64Url(k), kid, scope: data.identifier },
  };
}

/** A form to the token endpoint. */
export const askToken = (server: TestServer, form: Record<string, string>) =>
  server.request().post('/oauth2/token').type('form').send(form);

/** Exchanges a code. */
export const exchange = (server: TestServer, authorized: Authorized, resource?: string) =>
  askToken(server, {
    grant_type: 'authorization_code',
    client_id: authorized.clientId,
    code: authorized.code,
    code_verifier: authorized.verifier,
    redirect_uri: authorized.redirectUri,
    ...(resource !== undefined && { resource }),
  });

/**
 * Gets an app a token for an account, by the whole standard flow.
 *
 * Without a `resource` the scopes must belong to one API; `offline_access` in the scope adds a
 * refresh token.
 */
export async function tokenFor(
  server: TestServer,
  account: Account,
  asked: Omit<Asked, 'resource'> & { resource?: string },
): Promise<TokenAnswer> {
  const answer = await exchange(server, await authorize(server, account, asked), asked.resource);
  return TokenAnswer.parse(answer.body);
}
