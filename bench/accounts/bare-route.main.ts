import Fastify from 'fastify';
import pg from 'pg';
import { Config } from '../../apps/server/src/platform/config.ts';

/*
 * The least that a call with a session can be: a route of Fastify that reads one row by its
 * primary key and answers JSON. It looks at no header and checks nothing.
 * The database comes in DATABASE_URL; the address goes to stdout.
 */
const { databaseUrl, databaseConnections } = Config.from(process.env);
const pool = new pg.Pool({ connectionString: databaseUrl, max: databaseConnections });

const server = Fastify();
server.get<{ Params: { id: string } }>('/session/:id', async ({ params }) => {
  const { rows } = await pool.query({
    ...{ name: 'session', text: 'SELECT * FROM session WHERE id = $1', values: [params.id] },
  });
  const [session] = rows as { uid: string }[];
  return { state: 'verified', uid: session?.uid };
});

process.stdout.write(`${await server.listen({ host: 'localhost', port: 0 })}\n`);
