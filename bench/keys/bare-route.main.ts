import { createPublicKey, randomUUID, verify } from 'node:crypto';
import Fastify from 'fastify';
import pg from 'pg';
import { Config } from '../../apps/server/src/platform/config.ts';

/*
 * The least that these calls can be: a route of Fastify that reads one row by its primary key, one
 * that inserts one row, and one that inserts one after it verified an Ed25519 signature. They look at
 * no header and check nothing else. The database comes in DATABASE_URL; the address goes to stdout.
 */
const { databaseUrl, databaseConnections } = Config.from(process.env);
const pool = new pg.Pool({ connectionString: databaseUrl, max: databaseConnections });
await pool.query(`CREATE TABLE IF NOT EXISTS bare (id text PRIMARY KEY, value text NOT NULL)`);

const insert = (id: string, value: string) =>
  pool.query({
    ...{ name: 'insert', text: 'INSERT INTO bare VALUES ($1, $2)', values: [id, value] },
  });

const server = Fastify();
server.get<{ Params: { uid: string } }>('/list/:uid', async ({ params }) => {
  const { rows } = await pool.query<{ skl: string }>({
    name: 'list',
    text: `SELECT skl FROM key_list WHERE uid = $1 AND client_id = 'bench' AND ver = 1`,
    values: [params.uid],
  });
  return { uid: params.uid, skl: rows[0]?.skl };
});
server.get('/insert', async () => {
  await insert(randomUUID(), 'x');
  return { state: 'inserted' };
});

/** A compact JWS, and the key of its signer in its header. */
server.put<{ Body: { skl: string } }>('/signed', async ({ body }) => {
  const [header = '', payload = '', signature = ''] = body.skl.split('.');
  const { jwk } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { jwk: JsonWebKey };
  const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
  const signed = Buffer.from(`${header}.${payload}`);
  const isSigned = verify(null, signed, key, Buffer.from(signature, 'base64url'));
  await insert(randomUUID(), body.skl);
  return { isSigned };
});

process.stdout.write(`${await server.listen({ host: 'localhost', port: 0 })}\n`);
