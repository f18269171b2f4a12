import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import type {
  AccessToken,
  Adapter,
  Client,
  ClientCredentials,
  KoaContextWithOIDC,
  ResourceServer,
} from 'oidc-provider';
import type { Clock } from '../platform/clock.ts';

/** Seconds that a JWT lives: whoever checks it alone does not hear that it was revoked. */
const JWT_SECONDS = 900;

/** Bytes of a form: no more than oidc-provider reads. */
const FORM_BYTES_MAX = 56 * 1024;

/** The APIs that an app says are its own: audiences of JWTs. */
const resourcesOf = (client: Client): readonly string[] =>
  (client['resources'] as string[] | undefined) ?? [];

/**
 * An app's own API: its tokens are JWTs (RFC 9068), which it checks without asking.
 *
 * @returns undefined when the app has no such API
 */
export function apiOfApp(audience: string, client: Client): ResourceServer | undefined {
  if (!resourcesOf(client).includes(audience)) return undefined;
  return {
    audience,
    scope: 'openid profile',
    accessTokenFormat: 'jwt',
    accessTokenTTL: JWT_SECONDS,
    jwt: { sign: { alg: 'ES256' } },
  };
}

/** Whether a token that is being made will be a JWT. */
export const isJwt = (token: AccessToken | ClientCredentials): boolean =>
  token.resourceServer?.accessTokenFormat === 'jwt';

/**
 * An app asks about a token that was issued to it; one that proved to be itself, also about a token
 * for an API of its own.
 */
export const mayIntrospect = (
  client: Client,
  token: { clientId?: string | undefined; aud?: string | string[] | undefined },
): boolean =>
  token.clientId === client.clientId ||
  (client.clientAuthMethod !== 'none' &&
    [token.aud ?? []].flat().some((audience) => resourcesOf(client).includes(audience)));

/**
 * Keeps a row for each JWT, like those of opaque tokens: it goes with its grant, so that
 * introspection knows, and revocation takes it away. Nobody can use its name as a token: no bearer
 * token has a `~`.
 *
 * @param times - of the JWT, in seconds since 1970: the token itself has none yet
 */
export async function keepJwt(
  adapter: Adapter,
  token: AccessToken,
  { iat, exp }: { iat?: number; exp?: number },
): Promise<void> {
  const { accountId, clientId, grantId, scope, aud, jti, jkt } = token;
  const payload = {
    ...{ kind: 'AccessToken', format: 'opaque', accountId, clientId, grantId, scope, aud, jkt },
    ...{ jti, iat, exp },
  };
  await adapter.upsert(nameOf(jti), payload, token.expiration);
}

/**
 * Lets the endpoints for introspection and revocation take JWTs, which oidc-provider would refuse:
 * each is checked here, and what goes on is the name of its row.
 *
 * @param keys - every key whose signatures still count
 */
export function takeJwts(issuer: string, keys: JSONWebKeySet, clock: Clock) {
  const keySet = createLocalJWKSet(keys);
  const verify = async (token: string): Promise<string> => {
    try {
      const { payload } = await jwtVerify(token, keySet, {
        ...{ issuer, typ: 'at+jwt', algorithms: ['ES256'], currentDate: clock.now() },
      });
      return nameOf(payload.jti ?? '');
    } catch {
      return nameOf(''); // no row is called so
    }
  };
  return async (ctx: KoaContextWithOIDC, next: () => Promise<void>): Promise<void> => {
    if (ctx.method === 'POST' && takesTokens.test(ctx.path) && ctx.is('urlencoded') !== false) {
      const form = await read(ctx.req);
      const params = new URLSearchParams(form.toString());
      const token = params.get('token') ?? '';
      const isAlone = form.length <= FORM_BYTES_MAX && params.getAll('token').length === 1;
      const isStructured = isAlone && /^[\w-]+\.[\w-]*\.[\w-]*$/.test(token);
      if (isStructured) params.set('token', await verify(token));
      const rest = isStructured ? Buffer.from(params.toString()) : form;
      ctx.req.headers['content-length'] = String(rest.length);
      delete ctx.req.headers['transfer-encoding'];
      ctx.req = Object.assign(Readable.from([rest]), {
        headers: ctx.req.headers,
      }) as typeof ctx.req;
    }
    await next();
  };
}

const takesTokens = /^\/oauth2\/(?:introspect|revoke)$/;

const nameOf = (jti: string) => `jwt~${jti}`;

/** A body that is too long is left off somewhere behind the limit. */
async function read(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  // Destroyed, it would take the connection along, and the refusal with it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > FORM_BYTES_MAX) break;
  }
  return Buffer.concat(chunks);
}
