import { LegacyPasswordsService } from '../../apps/server/src/sync/legacy-passwords.service.ts';
import type { TestServer } from './test-server.ts';

/** An answer of Storage 1.1, with its body as it came. */
export interface LegacyAnswer {
  status: number;
  headers: Headers;
  bytes: Buffer;
  text: string;
  json(): any; // eslint-disable-line @typescript-eslint/no-explicit-any -- response bodies are what we assert on
}

export type LegacyClient = ReturnType<typeof legacyClient>;

/** A client of Storage 1.1. Paths are below `/storage/1.1/<username>`, or whole after a `!`. */
export function legacyClient(server: TestServer, username: string, password: string) {
  const request = async (
    method: string,
    path: string,
    {
      body,
      headers,
      authorization,
    }: { body?: unknown; headers?: Record<string, string>; authorization?: string } = {},
  ): Promise<LegacyAnswer> => {
    const target = path.startsWith('!') ? path.slice(1) : `/storage/1.1/${username}${path}`;
    const sent =
      authorization ?? `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
    const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
    const response = await fetch(server.url + target, {
      method,
      headers: { ...(sent !== '' && { authorization: sent }), ...headers },
      ...(text !== undefined && { body: text }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      text: bytes.toString(),
      json: () => JSON.parse(bytes.toString()),
    };
  };
  return {
    username,
    password,
    request,
    get: (path: string, headers: Record<string, string> = {}) => request('GET', path, { headers }),
    put: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      request('PUT', path, { body, headers }),
    post: (path: string, body: unknown, headers: Record<string, string> = {}) =>
      request('POST', path, { body, headers }),
    delete: (path: string, headers: Record<string, string> = {}) =>
      request('DELETE', path, { headers }),
  };
}

let last = 0;

/** A client with a name, a password and a store of its own. */
export async function legacyUser(
  server: TestServer,
  account = `user${(last += 1)}`,
): Promise<LegacyClient> {
  const { username, password } = await server.app.get(LegacyPasswordsService).make(account);
  return legacyClient(server, username, password);
}
