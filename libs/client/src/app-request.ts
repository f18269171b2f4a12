import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { z } from 'zod';
import {
  appKeyIdentifier,
  fromBase64Url,
  generateKeysJwk,
  type KeysPrivateJwk,
  type KeyWithId,
  openScopedKeys,
  randomBytes,
  sha256,
  toBase64Url,
  utf8,
} from '#lib/crypto';
import { type Api, apiByScope, APP_KEY, type TokenAnswer, Uid } from '#lib/protocol';
import { ClientError, IntegrityError } from './client-error.ts';
import { isRedirectTo } from './redirect.ts';
import type { Server } from './server.ts';
import { audienceOf, type Target } from './tokens.ts';

/** What an app is registered with, and asks for. */
export interface AppRequest {
  clientId: string;
  /** Scopes of libs/protocol; `openid`, `offline_access` and `app_key` are added, since nothing works without them. */
  scopes: readonly string[];
  /** The app's own APIs, by the addresses that it is registered with as `resources`. */
  resources?: readonly string[] | undefined;
  /** False for an app that has nothing to encrypt: `app_key` is not added. */
  wantsKey?: boolean | undefined;
}

/** A sign-in that has begun. It is JSON, so that a page can keep it while it is away; secret. */
export interface Pending {
  clientId: string;
  /** Everything that was asked for. */
  scopes: string[];
  /** What tokens will be asked for; the first comes with the code. */
  targets: Target[];
  /** Has to be in the ID token. */
  nonce: string;
  /** Opens what the app's key is sealed in; undefined when none was asked for. */
  privateJwk?: KeysPrivateJwk | undefined;
}

/** A sign-in that comes back by a redirect. */
export interface PendingRedirect extends Pending {
  redirectUri: string;
  state: string;
  /** Of PKCE. */
  verifier: string;
}

const Discovery = z.object({
  issuer: z.string(),
  device_authorization_endpoint: z.string().optional(),
});
/** What the server says of itself. */
export type Discovery = z.infer<typeof Discovery>;

/** The address is there with the scope `profile`. */
const Claims = z.looseObject({ email: z.string().optional() });
const Jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/**
 * Reads what the server says of itself, if it says it of itself.
 *
 * @throws IntegrityError `ISSUER_MISMATCH` when it speaks for another: codes would go astray (RFC 9207 §2.4,
 * RFC 8414 §3.3)
 */
export async function discover(server: Server): Promise<Discovery> {
  const ask = { url: '/.well-known/openid-configuration' };
  const found = await server.http.json(ask, Discovery);
  const isItself =
    URL.canParse(found.issuer) && new URL(found.issuer).href === new URL(server.url).href;
  if (isItself) return found;
  const detail = `${server.url} calls itself ${found.issuer}: its own address must be used.`;
  throw new IntegrityError('ISSUER_MISMATCH', detail);
}

/** Prepares what every grant asks for: scopes, audiences, a nonce, and an ephemeral key to receive kBr. */
export async function prepare(
  request: AppRequest,
): Promise<{ pending: Pending; parameters: URLSearchParams }> {
  const { clientId, resources = [], wantsKey = true } = request;
  const own = ['openid', 'offline_access', ...(wantsKey ? [APP_KEY] : [])];
  const scopes = [...new Set([...own, ...request.scopes])];
  const targets = [...apisOf(scopes), ...resources];
  const pair = scopes.includes(APP_KEY) ? await generateKeysJwk() : undefined;
  const nonce = secret(16);
  const parameters = new URLSearchParams({ client_id: clientId, scope: scopes.join(' '), nonce });
  if (pair) {
    parameters.set('keys_jwk', toBase64Url(utf8(JSON.stringify(pair.publicJwk))));
  }
  for (const target of targets) parameters.append('resource', audienceOf(target));
  const pending = { clientId, scopes, targets, nonce, privateJwk: pair?.privateJwk };
  return { pending, parameters };
}

/** Prepares an authorization by redirect: PKCE (S256) and state besides. */
export async function prepareRedirect(
  server: Server,
  request: AppRequest & { redirectUri: string },
): Promise<{ pending: PendingRedirect; url: string }> {
  const { pending, parameters } = await prepare(request);
  const [state, verifier] = [secret(16), secret(32)];
  const url = new URL(`${server.url}/oauth2/authorize`);
  url.search = parameters.toString();
  for (const [name, value] of Object.entries({
    response_type: 'code',
    redirect_uri: request.redirectUri,
    state,
    code_challenge: toBase64Url(sha256(utf8(verifier))),
    code_challenge_method: 'S256',
  })) {
    url.searchParams.set(name, value);
  }
  const { redirectUri } = request;
  return { url: url.href, pending: { ...pending, redirectUri, state, verifier } };
}

/**
 * The code in the answer that the person came back with.
 *
 * @throws IntegrityError `STATE_MISMATCH`, `ISSUER_MISMATCH`
 * @throws ClientError the OAuth error when the person or the server refused
 */
export function codeIn(redirectUrl: string, pending: PendingRedirect, issuer: string): string {
  const isOurs = isRedirectTo(redirectUrl, pending.redirectUri);
  const searchParams = isOurs ? new URL(redirectUrl).searchParams : new URLSearchParams();
  if (searchParams.get('state') !== pending.state) {
    throw new IntegrityError('STATE_MISMATCH', 'The answer belongs to another authorization.');
  }
  if (searchParams.get('iss') !== issuer) {
    throw new IntegrityError('ISSUER_MISMATCH', 'The answer comes from another server.');
  }
  const [code, error] = [searchParams.get('code'), searchParams.get('error')];
  if (code !== null && error === null) return code;
  const detail = searchParams.get('error_description') ?? 'The authorization was refused.';
  throw new ClientError(error ?? 'malformed-answer', 0, detail);
}

/** Who signed in, and the app's key, out of the first answer of the token endpoint. */
export async function readGrant(
  server: Server,
  answer: TokenAnswer,
  pending: Pending,
): Promise<{ uid: string; email: string | undefined; kBr: KeyWithId | undefined }> {
  const added = answer.scope.split(' ').filter((name) => name && !pending.scopes.includes(name));
  if (added.length > 0) {
    throw new IntegrityError('SCOPES_ADDED', `Nobody asked for ${added.join(', ')}.`);
  }
  const { uid, email } = await subject(server, answer.id_token, pending);
  const { privateJwk, clientId } = pending;
  const kBr = privateJwk && (await ownKey(answer.keys_jwe ?? '', privateJwk, clientId));
  return { uid, email, kBr };
}

const secret = (length: number) => toBase64Url(randomBytes(length));

function apisOf(scopes: readonly string[]): Api[] {
  const apis: Readonly<Partial<Record<string, Api>>> = apiByScope;
  return [...new Set(scopes.flatMap((scope) => apis[scope] ?? []))];
}

/** The app's own key, out of what was sealed to it; whoever sealed it is not known. */
async function ownKey(
  keysJwe: string,
  privateJwk: KeysPrivateJwk,
  clientId: string,
): Promise<KeyWithId> {
  try {
    const { [APP_KEY]: own, ...others } = await openScopedKeys(keysJwe, privateJwk);
    if (own?.scope !== appKeyIdentifier(clientId)) throw new TypeError('There is no such key.');
    if (Object.keys(others).length > 0) throw new TypeError('There are keys of others.');
    const k = fromBase64Url(own.k);
    if (k.length !== 32) throw new TypeError('The key has another length.');
    return { kid: own.kid, k };
  } catch (cause) {
    const detail = 'The app did not receive its key.';
    throw new IntegrityError('KEYS_REPLACED', detail, { cause });
  }
}

/** Who signed in, by the ID token (OpenID Connect Core §3.1.3.7). */
async function subject(
  server: Server,
  idToken: string | undefined,
  expected: { clientId: string; nonce: string },
): Promise<{ uid: string; email: string | undefined }> {
  const jwks = await server.http.json({ url: '/oauth2/jwks' }, Jwks);
  try {
    const { payload } = await jwtVerify(idToken ?? '', createLocalJWKSet(jwks as JSONWebKeySet), {
      issuer: new URL(server.url).origin,
      audience: expected.clientId,
      algorithms: ['ES256', 'EdDSA'],
      currentDate: new Date(server.platform.now()),
      clockTolerance: 300,
    });
    if (payload['nonce'] !== expected.nonce) throw new TypeError('The nonce is another one.');
    const { email } = Claims.parse(payload);
    return { uid: Uid.parse(payload.sub), email };
  } catch (cause) {
    throw new IntegrityError('STATE_MISMATCH', 'The ID token is not for this sign-in.', { cause });
  }
}
