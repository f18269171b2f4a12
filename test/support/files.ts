import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { TestCaller } from './caller.ts';
import type { TestServer } from './test-server.ts';

type Headers = Record<string, string>;

/** The header of a first upload. */
export const NEW = { 'if-none-match': '*' };

/** The path of a file of one's own. */
export const at = (who: TestCaller, id: string): string => `/files/v1/${who.uid}/files/${id}`;

/** Calls of Cloud Storage, and what it leaves on the disk and in the tables. */
export function filesApi(serverOf: () => TestServer) {
  const put = async (who: TestCaller, url: string, body: Buffer, headers: Headers = NEW) =>
    serverOf()
      .request()
      .put(url)
      .set('authorization', await who.authorization('files'))
      .set({ 'content-type': 'application/octet-stream', 'content-length': String(body.length) })
      .set(headers)
      // superagent would spell a Buffer out as JSON
      .send(headers['content-type'] === 'application/json' ? body.toString() : body);

  const ask = async (
    who: TestCaller,
    method: 'get' | 'head' | 'delete' | 'put',
    url: string,
    headers: Headers = {},
    body?: object | string,
  ) =>
    serverOf()
      .request()
      [method](url)
      .set('authorization', await who.authorization('files'))
      .set(headers)
      .buffer(true)
      .send(body);

  /** Every file in the blob store, finished or not. */
  const onDisk = (dataDir = serverOf().config.dataDir) => {
    const folder = join(dataDir, 'blobs');
    if (!existsSync(folder)) return [];
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => statSync(join(folder, name)).isFile()).sort();
  };

  const inTable = async () =>
    (await serverOf().db.query<{ n: number }[]>('SELECT count(*)::int AS n FROM file'))[0]?.n ?? 0;

  /** No row without a blob, no blob without a row. */
  const expectInStep = async () => {
    const rows = await serverOf().db.query<{ blob_id: string }[]>('SELECT blob_id FROM file');
    const blobs = onDisk().map((name) => name.split('/').at(-1));
    expect(blobs.sort()).toEqual(rows.map(({ blob_id }) => blob_id).sort());
  };

  /** Bytes that count on the quota. */
  const liveOf = async (who: TestCaller) =>
    ((await ask(who, 'get', `/files/v1/${who.uid}/usage`)).body as { live: number }).live;

  return { put, ask, onDisk, inTable, expectInStep, liveOf };
}
