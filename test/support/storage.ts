import { randomBytes } from 'node:crypto';
import { type IncomingHttpHeaders, type IncomingMessage, request as send } from 'node:http';
import { text as readAll } from 'node:stream/consumers';
import {
  deriveTokenKey,
  type HawkArtifacts,
  hawkMac,
  hawkPayloadHash,
  mintToken,
  utf8,
} from '#lib/crypto';
import { SettingsService } from '../../apps/server/src/platform/settings.service.ts';
import type { TestServer } from './test-server.ts';

/** An answer of the storage API, with its body as it came. */
export interface StorageAnswer {
  status: number;
  text: string;
  headers: IncomingHttpHeaders;
  json(): any; // eslint-disable-line @typescript-eslint/no-explicit-any -- response bodies are what we assert on
}

/** What a request has besides its method and path. */
export interface StorageRequestOptions {
  /** Text as it is, anything else as JSON. */
  body?: unknown;
  /** Undefined sends none. */
  type?: string | undefined;
  headers?: Record<string, string>;
  /** Goes over what would be signed. */
  signed?: Partial<HawkArtifacts> & { id?: string; key?: string };
  /** Goes over the whole header; empty for none. */
  authorization?: string;
}

/** Where and as whom. `uid` is the one in the paths; the token decides whether it may. */
export interface StorageCredentials {
  url: string;
  id: string;
  key: string;
  uid: number;
  /** Seconds since 1970. */
  seconds: () => number;
}

export type StorageClient = ReturnType<typeof storageClient>;

/**
 * A client of the storage API that signs each request. Paths are below `/storage/1.5/<uid>`, or
 * whole after a `!`, and are sent as they are, however odd.
 */
export function storageClient({ url, id, key, uid, seconds }: StorageCredentials) {
  const { hostname, port } = new URL(url);

  const request = async (
    method: string,
    path: string,
    options: StorageRequestOptions = {},
  ): Promise<StorageAnswer> => {
    const { body, headers, signed } = options;
    const type = 'type' in options ? options.type : 'application/json';
    const content =
      body === undefined || typeof body === 'string' || Buffer.isBuffer(body)
        ? body
        : JSON.stringify(body);
    const bytes = content === undefined ? undefined : Buffer.from(content as string);
    const target = path.startsWith('!') ? path.slice(1) : `/storage/1.5/${uid}${path}`;
    const artifacts = {
      ts: seconds(),
      nonce: randomBytes(6).toString('base64url'),
      method,
      path: target,
      host: hostname,
      port: Number(port),
      ...(bytes && { hash: hawkPayloadHash(type ?? '', bytes) }),
      ...signed,
    };
    const mac = hawkMac(utf8(signed?.key ?? key), artifacts);
    const { ts, nonce, hash } = artifacts;
    const attributes = { id: signed?.id ?? id, ts, nonce, ...(hash && { hash }), mac };
    const list = Object.entries(attributes).map(([name, value]) => `${name}="${value}"`);
    const authorization = options.authorization ?? `Hawk ${list.join(', ')}`;

    const response = await new Promise<IncomingMessage>((done, fail) => {
      const sent = send({ hostname, port, method, path: target }, done).on('error', fail);
      if (authorization !== '') sent.setHeader('authorization', authorization);
      if (bytes && type !== undefined) sent.setHeader('content-type', type);
      for (const [name, value] of Object.entries(headers ?? {})) sent.setHeader(name, value);
      sent.setHeader('content-length', bytes?.length ?? 0);
      sent.end(bytes);
    });
    const text = await readAll(response);
    return {
      status: response.statusCode ?? 0,
      text,
      headers: response.headers,
      json: () => JSON.parse(text),
    };
  };

  return {
    uid,
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
    expires: server.clock.seconds() + 300,
    salt: randomBytes(3).toString('hex'),
    ...claims,
  });
  const key = deriveTokenKey(secret ?? own, id);
  return { url: server.url, id, key, uid: claims.uid, seconds: () => server.clock.seconds() };
}

let lastUid = 1_000_000;

/** A client of a store of its own. */
export async function storageUser(
  server: TestServer,
  claims: Record<string, unknown> = {},
): Promise<StorageClient> {
  lastUid += 1;
  return storageClient(await storageCredentials(server, { uid: lastUid, ...claims }));
}
