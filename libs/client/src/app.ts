import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { z } from 'zod';
import {
  appKeyIdentifier,
  equalBytes,
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
import { type Api, apiByScope, APP_KEY, audiences, TokenAnswer, Uid } from '#lib/protocol';
import { ClientError, IntegrityError } from './client-error.ts';
import type { PlatformOptions } from './platform.ts';
import { isRedirectTo } from './redirect.ts';
import { Server } from './server.ts';
import { accessToken, type SavedTokens, type TokenKeeper, Tokens } from './tokens.ts';

/** What an app keeps between two runs; all of it is secret. */
export interface SavedApp {
  server: string;
  realm: string;
  uid: string;
  clientId: string;
  /** kBr: key id and base64url key. */
  kBr: { kid: string; k: string };
  tokens: SavedTokens;
}

/** What an app is registered with, and asks for. */
export interface AppRequest {
  clientId: string;
  redirectUri: string;
  /** Scopes of libs/protocol; `openid`, `offline_access` and `app_key` are added, since nothing works without them. */
  scopes: readonly string[];
}

const Discovery = z.object({ issuer: z.string() });
const Jwks = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

/** An authorization that has begun: the person goes to `url`, and comes back with what `finish` takes. */
export interface Started {
  url: string;
  /**
   * Exchanges the code for tokens and opens the app's key.
   *
   * @param redirectUrl - where the person came back to, with `code`, `state` and `iss`
   * @throws IntegrityError `STATE_MISMATCH`, `ISSUER_MISMATCH`, `KEYS_REPLACED`
   * @throws ClientError the OAuth error when the person or the server refused
   */
  finish(redirectUrl: string): Promise<App>;
}

/**
 * An app that a person has signed in to: an OAuth2 public client (RFC 9700) that received its own key kBr and
 * nothing else. The code of this class sees neither the password nor kB.
 */
export class App {
  private constructor(
    readonly server: Server,
    readonly uid: string,
    readonly clientId: string,
    readonly kBr: KeyWithId,
    readonly tokens: Tokens,
  ) {}

  /** Prepares an authorization: PKCE (S256), state, nonce, an ephemeral key to receive kBr, every API's audience. */
  static async start(server: Server, request: AppRequest): Promise<Started> {
    const { clientId, redirectUri } = request;
    const scopes = [...new Set(['openid', 'offline_access', APP_KEY, ...request.scopes])];
    const resources = audiencesOf(scopes);
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const [state, nonce, verifier] = [secret(16), secret(16), secret(32)];
    const url = new URL(`${server.url}/oauth2/authorize`);
    for (const [name, value] of Object.entries({
      response_type: 'code',
      client_id: clientId,
      redirect_uri: redirectUri,
      scope: scopes.join(' '),
      ...{ state, nonce },
      code_challenge: toBase64Url(sha256(utf8(verifier))),
      code_challenge_method: 'S256',
      keys_jwk: toBase64Url(utf8(JSON.stringify(publicJwk))),
    })) {
      url.searchParams.set(name, value);
    }
    for (const api of resources) url.searchParams.append('resource', audiences[api]);

    const finish = async (redirectUrl: string): Promise<App> => {
      const { issuer } = await server.http.json(
        { url: '/.well-known/openid-configuration' },
        Discovery,
      );
      const code = codeIn(redirectUrl, { redirectUri, state, issuer });
      const [first] = resources;
      const form = new URLSearchParams({
        grant_type: 'authorization_code',
        client_id: clientId,
        redirect_uri: redirectUri,
        code,
        code_verifier: verifier,
        ...(first && { resource: audiences[first] }),
      });
      const ask = { method: 'POST', url: '/oauth2/token', form } as const;
      const answer = await server.http.json(ask, TokenAnswer);
      const uid = await subject(server, answer.id_token, { clientId, issuer, nonce });
      const kBr = await ownKey(answer.keys_jwe ?? '', privateJwk, clientId);
      const access = first ? { [first]: accessToken(answer, server.platform.now()) } : {};
      const tokens = new Tokens({
        ...{ http: server.http, clientId },
        saved: { refreshToken: answer.refresh_token ?? '', access },
      });
      return new App(server, uid, clientId, kBr, tokens);
    };
    return { url: url.href, finish };
  }

  /** Takes up what `export` gave. */
  static restore(saved: SavedApp, options: PlatformOptions, keeper?: TokenKeeper): App {
    const server = Server.known(saved.server, saved.realm, options);
    const { uid, clientId, kBr } = saved;
    const tokens = new Tokens({
      ...{ http: server.http, clientId },
      ...{ saved: saved.tokens, keeper },
    });
    return new App(server, uid, clientId, { kid: kBr.kid, k: fromBase64Url(kBr.k) }, tokens);
  }

  /** Everything a later run needs; secret. */
  export(): SavedApp {
    const { server, uid, clientId, kBr, tokens } = this;
    return {
      ...{ server: server.url, realm: server.realm, uid, clientId },
      kBr: { kid: kBr.kid, k: toBase64Url(kBr.k) },
      tokens: tokens.export(),
    };
  }

  /** Tells whether this app holds this very key. */
  holds(key: KeyWithId | undefined): boolean {
    return key?.kid === this.kBr.kid && equalBytes(key.k, this.kBr.k);
  }
}

const secret = (length: number) => toBase64Url(randomBytes(length));

function audiencesOf(scopes: readonly string[]): Api[] {
  const apis: Readonly<Partial<Record<string, Api>>> = apiByScope;
  return [...new Set(scopes.flatMap((scope) => apis[scope] ?? []))];
}

function codeIn(
  redirectUrl: string,
  expected: { redirectUri: string; state: string; issuer: string },
): string {
  const isOurs = isRedirectTo(redirectUrl, expected.redirectUri);
  const searchParams = isOurs ? new URL(redirectUrl).searchParams : new URLSearchParams();
  if (searchParams.get('state') !== expected.state) {
    throw new IntegrityError('STATE_MISMATCH', 'The answer belongs to another authorization.');
  }
  if (searchParams.get('iss') !== expected.issuer) {
    throw new IntegrityError('ISSUER_MISMATCH', 'The answer comes from another server.');
  }
  const [code, error] = [searchParams.get('code'), searchParams.get('error')];
  if (code !== null && error === null) return code;
  const detail = searchParams.get('error_description') ?? 'The authorization was refused.';
  throw new ClientError(error ?? 'malformed-answer', 0, detail);
}

/** The app's own key, out of what was sealed to it; whoever sealed it is not known. */
async function ownKey(
  keysJwe: string,
  privateJwk: KeysPrivateJwk,
  clientId: string,
): Promise<KeyWithId> {
  try {
    const own = (await openScopedKeys(keysJwe, privateJwk))[APP_KEY];
    if (own?.scope !== appKeyIdentifier(clientId)) throw new TypeError('There is no such key.');
    const k = fromBase64Url(own.k);
    if (k.length !== 32) throw new TypeError('The key has another length.');
    return { kid: own.kid, k };
  } catch (cause) {
    const detail = 'The app did not receive its key.';
    throw new IntegrityError('KEYS_REPLACED', detail, { cause });
  }
}

/** The uid in the ID token (OpenID Connect Core §3.1.3.7). */
async function subject(
  server: Server,
  idToken: string | undefined,
  expected: { clientId: string; issuer: string; nonce: string },
): Promise<string> {
  const jwks = await server.http.json({ url: '/oauth2/jwks' }, Jwks);
  try {
    const { payload } = await jwtVerify(idToken ?? '', createLocalJWKSet(jwks as JSONWebKeySet), {
      issuer: expected.issuer,
      audience: expected.clientId,
      algorithms: ['ES256', 'EdDSA'],
      currentDate: new Date(server.platform.now()),
      clockTolerance: 300,
    });
    if (payload['nonce'] !== expected.nonce) throw new TypeError('The nonce is another one.');
    return Uid.parse(payload.sub);
  } catch (cause) {
    throw new IntegrityError('STATE_MISMATCH', 'The ID token is not for this sign-in.', { cause });
  }
}
