import type { Pool } from 'pg';
import type { DataSource } from 'typeorm';
import type { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver.js';

/** One of a bounded number: each connection keeps every one of them prepared. */
export interface NamedStatement {
  name: string;
  text: string;
  values: unknown[];
}

/**
 * Runs a statement that each connection prepares once, by its name: planning takes longer than most
 * look-ups. It is a transaction of its own, and none of TypeORM's takes part in it.
 */
export async function runNamed<Row extends object>(
  db: DataSource,
  statement: NamedStatement,
): Promise<Row[]> {
  const pool = (db.driver as PostgresDriver).master as Pool;
  return (await pool.query<Row>(statement)).rows;
}
