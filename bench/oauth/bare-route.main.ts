import { createHash } from 'node:crypto';
import Fastify from 'fastify';
import pg from 'pg';
import { Config } from '../../apps/server/src/platform/config.ts';

/*
 * The least that a call with a token can be: a route of Fastify that reads the token's row by its
 * primary key, with the hash of what it was sent, and answers JSON. It checks nothing.
 * The database comes in DATABASE_URL; the address goes to stdout.
 */
const { databaseUrl, databaseConnections } = Config.from(process.env);
const pool = new pg.Pool({ connectionString: databaseUrl, max: databaseConnections });
const text = `SELECT payload FROM oidc WHERE model = 'AccessToken' AND id = $1`;

const server = Fastify();
server.get('/uid', async ({ headers }) => {
  const token = headers.authorization?.slice('Bearer '.length) ?? '';
  const id = createHash('sha256').update(token).digest('base64url');
  const { rows } = await pool.query({ name: 'token', text, values: [id] });
  const [found] = rows as { payload: { accountId: string } }[];
  return { uid: found?.payload.accountId };
});

process.stdout.write(`${await server.listen({ host: 'localhost', port: 0 })}\n`);
