import 'reflect-metadata';
import Fastify, { type FastifyReply } from 'fastify';
import pg from 'pg';
import type { DataSource } from 'typeorm';
import { Clock } from '../../apps/server/src/platform/clock.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { type RawQuery, readBatch, readListQuery } from '../../apps/server/src/sync/list-query.ts';
import { Statements } from '../../apps/server/src/sync/statements.ts';
import { StorageReaderService } from '../../apps/server/src/sync/storage-reader.service.ts';
import { StorageWriterService } from '../../apps/server/src/sync/storage-writer.service.ts';
import { bsoJson } from '../../apps/server/src/sync/weave-reply.ts';
import { weaveTime } from '../../apps/server/src/sync/weave-time.ts';
import type { Bso } from './store.ts';

/*
 * The least that a server of ours can do: three routes of Fastify that run the server's own
 * statements and answer as its API does. No Hawk, no Nest, no check of what comes in.
 * The database comes in DATABASE_URL; the address goes to stdout.
 */
pg.types.setTypeParser(pg.types.builtins.INT8, Number);
const config = Config.from(process.env);
const { databaseUrl, databaseConnections, limits } = config;
const pool = new pg.Pool({ connectionString: databaseUrl, max: databaseConnections });
const statements = new Statements({ driver: { master: pool } } as unknown as DataSource);
const reader = new StorageReaderService(statements, new Clock(), config);
const writer = new StorageWriterService(statements, new Clock(), config);

interface Place {
  Params: { uid: string; collection: string; id: string };
  Querystring: RawQuery;
}
const target = ({ params }: { params: Place['Params'] }) => ({
  uid: Number(params.uid),
  collection: params.collection,
  unmodifiedSince: undefined,
});
const change = (bso: Bso) => ({ ...bso, sortindex: undefined, ttl: undefined });
const send = (reply: FastifyReply, modified: number, json: string) =>
  reply.header('x-last-modified', weaveTime(modified)).type('application/json').send(json);

const server = Fastify({ bodyLimit: limits.storageRequestBytesMax });
const collection = '/storage/1.5/:uid/storage/:collection';

server.get<Place>(collection, async (request, reply) => {
  const { uid, collection } = target(request);
  const query = readListQuery(request.query, limits.storagePageRecordsMax);
  const { modified, seenUntil, count, records } = await reader.list(uid, collection, query);
  void reply.header('x-weave-records', count).header('x-weave-timestamp', weaveTime(seenUntil));
  return send(reply, modified, `[${records.map(bsoJson).join(',')}]`);
});

server.post<Place & { Body: Bso[] }>(collection, async (request, reply) => {
  const batch = readBatch(request.query);
  const changes = request.body.map(change);
  const appended = await writer.append(target(request), changes, batch?.id);
  const success = JSON.stringify(changes.map(({ id }) => id));
  const json = `{"batch":"${appended.batch}","success":${success},"failed":{}}`;
  return send(reply.status(202), appended.modified, json);
});

server.put<Place & { Body: Bso }>(`${collection}/:id`, async (request, reply) => {
  const { id } = request.params;
  const item = change({ ...request.body, id });
  const { modified } = await writer.write(target(request), [item], { item: id });
  return send(reply, modified, weaveTime(modified));
});

process.stdout.write(`${await server.listen({ host: 'localhost', port: 0 })}\n`);
