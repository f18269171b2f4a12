import { randomBytes } from 'node:crypto';
import { mintToken, deriveTokenKey, signHawk, utf8 } from '#lib/crypto';
import type { Clock } from '../../apps/server/src/platform/clock.ts';
import { SettingsService } from '../../apps/server/src/platform/settings.service.ts';
import type { TestServer } from './test-server.ts';

/** An answer of the storage API, with its body as it came. */
export interface StorageAnswer {
  status: number;
  text: string;
  headers: Headers;
  json(): any; // eslint-disable-line @typescript-eslint/no-explicit-any -- response bodies are what we assert on
}

/** What a request has besides its method and path. */
export interface StorageRequestOptions {
  body?: unknown;
  type?: string;
  headers?: Record<string, string>;
}

/** Where and as whom. `uid` is the one in the paths; the token decides whether it may. */
export interface StorageCredentials {
  url: string;
  id: string;
  key: string;
  uid: number;
  clock?: Pick<Clock, 'now'>;
}

/** A client of the storage API that signs each request. Paths are below `/storage/1.5/<uid>`. */
export function storageClient({ url, id, key, uid, clock }: StorageCredentials) {
  const base = `${url}/storage/1.5/${uid}`;

  const request = async (
    method: string,
    path: string,
    { body, type = 'application/json', headers }: StorageRequestOptions = {},
  ): Promise<StorageAnswer> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const address = path.startsWith('http') ? path : base + path;
    const authorization = await signHawk({
      id,
      key: utf8(key),
      method,
      url: address,
      ts: Math.floor((clock?.now() ?? new Date()).getTime() / 1000),
      nonce: randomBytes(6).toString('base64url'),
      ...(text !== undefined && { payload: { contentType: type, body: utf8(text) } }),
    });
    const response = await fetch(address, {
      method,
      headers: {
        authorization,
        ...(text !== undefined && { 'content-type': type }),
        ...headers,
      },
      ...(text !== undefined && { body: text }),
    });
    const answer = await response.text();
    return {
      status: response.status,
      text: answer,
      headers: response.headers,
      json: () => JSON.parse(answer),
    };
  };

  return {
    request,
    get: (path: string, headers: Record<string, string> = {}) => request('GET', path, { headers }),
    delete: (path: string, headers: Record<string, string> = {}) =>
      request('DELETE', path, { headers }),
    put: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      request('PUT', path, { body, headers }),
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      request('POST', path, { body, headers }),
  };
}

/** Mints a token as the token server does; `claims` go over what it would say. */
export async function storageCredentials(
  server: TestServer,
  claims: Record<string, unknown> & { uid: number },
  secret?: string,
): Promise<StorageCredentials> {
  const [own] = await server.app.get(SettingsService).syncSecrets();
  const id = mintToken(secret ?? own, {
    node: server.url,
    expires: Math.floor(server.clock.now().getTime() / 1000) + 300,
    salt: randomBytes(3).toString('hex'),
    ...claims,
  });
  const key = deriveTokenKey(secret ?? own, id);
  return { url: server.url, id, key, uid: claims.uid, clock: server.clock };
}

/** A client of a store of its own. */
export async function storageUser(
  server: TestServer,
  claims: Record<string, unknown> & { uid: number },
) {
  return storageClient(await storageCredentials(server, claims));
}
