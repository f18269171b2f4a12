import { randomBytes } from 'node:crypto';
import { deriveToken, fromHex, signHawk, toHex, type TokenKind } from '#lib/crypto';
import type { TestServer } from './test-server.ts';

/** A body for account/create or account/login that needs no stretching: any 32 bytes will do. */
export const credentials = (email: string) => ({ email, authPW: randomBytes(32).toString('hex') });

/** An address that nobody has. */
export const anAddress = () => `user-${randomBytes(6).toString('hex')}@example.org`;

/** POSTs JSON to an auth call, with a session's Authorization header when there is one. */
export function post(server: TestServer, path: string, body: object, authorization?: string) {
  const request = server.request().post(`/auth/v1/${path}`);
  if (authorization !== undefined) void request.set('authorization', authorization);
  return request.send(body);
}

/** GETs an auth call. */
export function get(server: TestServer, path: string, authorization?: string) {
  const request = server.request().get(`/auth/v1/${path}`);
  if (authorization !== undefined) void request.set('authorization', authorization);
  return request;
}

/** What a Hawk header is made of; every member has a good default. */
export interface Signing {
  token: string;
  kind?: TokenKind;
  method?: string;
  path: string;
  origin?: string;
  /** Seconds since 1970. */
  ts?: number;
  nonce?: string;
  /** Signs this body, as JSON. */
  body?: object;
}

/** Signs a request with a token, as Firefox does. */
export function hawk(server: TestServer, signing: Signing): Promise<string> {
  const { id, reqHMACkey } = deriveToken(fromHex(signing.token), signing.kind ?? 'sessionToken');
  return signHawk({
    id: toHex(id),
    key: reqHMACkey,
    method: signing.method ?? 'GET',
    url: `${signing.origin ?? server.url}/auth/v1/${signing.path}`,
    ts: signing.ts ?? server.clock.seconds(),
    nonce: signing.nonce ?? randomBytes(6).toString('base64url'),
    ...(signing.body && {
      payload: {
        contentType: 'application/json',
        body: new TextEncoder().encode(JSON.stringify(signing.body)),
      },
    }),
  });
}
