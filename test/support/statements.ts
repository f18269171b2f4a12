import type { TestServer } from './test-server.ts';

/** What the server asks by its own timers, whoever talks to it. */
const timed = /^UPDATE mail SET tries|storage_node"|storage_hold_changes|signing_key|logout_notice/;

/**
 * The statements that the server sends to its database while something runs, without their values.
 * Nothing else may talk to the server meanwhile.
 */
export async function countingStatements(
  server: TestServer,
  run: () => PromiseLike<unknown>,
): Promise<string[]> {
  const statements: string[] = [];
  const { master } = server.db.driver as unknown as {
    master: { on: (event: 'acquire', heard: (client: Client) => void) => unknown; off: Off };
  };
  const wrapped: [client: Client, query: Client['query']][] = [];
  const heard = (client: Client) => {
    if (wrapped.some(([known]) => known === client)) return;
    const { query } = client;
    wrapped.push([client, query]);
    client.query = (...args) => {
      const [statement] = args;
      statements.push(typeof statement === 'string' ? statement : String(statement?.text));
      return query.apply(client, args);
    };
  };
  master.on('acquire', heard);
  await run();
  master.off('acquire', heard);
  for (const [client, query] of wrapped) client.query = query;
  return statements.filter((statement) => !timed.test(statement));
}

type Off = (event: 'acquire', heard: (client: Client) => void) => unknown;
interface Client {
  query: (...args: [statement?: string | { text?: unknown }, ...rest: unknown[]]) => unknown;
}
