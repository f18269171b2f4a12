import { Logger } from '@nestjs/common';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { z } from 'zod';
import { Failure } from '#lib/protocol';
import { Clock } from './clock.ts';
import { Config } from './config.ts';
import { noServer, runningDatabase } from './running-database.ts';

/** What a program of the operator works with. */
export interface OperatorTools<T> {
  task: T;
  db: DataSource;
  config: Config;
  clock: Clock;
  /** Prints lines, or with `json` the value as one line of JSON. */
  say: (value: unknown, lines: readonly string[]) => void;
  /** Tells on standard error what went wrong. */
  complain: (error: string, message: string) => void;
}

/**
 * Runs one of the operator's programs beside the server: it needs no right but on the database, and
 * to read the server's configuration. Its one argument is what to do, as JSON; with `json` in that
 * its words are for programs. Whatever is printed is the answer: nothing is logged.
 *
 * A refusal is told, and the exit code becomes 1, or what `refusedWith` says.
 */
export async function runOperatorProgram<T extends { json: boolean }>(
  environment: Readonly<Record<string, string | undefined>>,
  schema: z.ZodType<T>,
  {
    entities = [],
    refusedWith = 1,
  }: Pick<DataSourceOptions, 'entities'> & { refusedWith?: number },
  work: (tools: OperatorTools<T>) => Promise<void>,
): Promise<void> {
  // `lockstep … | head` has read enough.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(1);
  });
  Logger.overrideLogger(false);
  const task = schema.parse(JSON.parse(process.argv[2] ?? ''));
  const config = Config.from(environment);
  const { say, complain } = voice(task.json);
  const url = runningDatabase(config);
  if (url === undefined) {
    complain('no-server', noServer(config));
    process.exitCode = 1;
    return;
  }
  const db = await new DataSource({
    type: 'postgres',
    url,
    parseInt8: true,
    entities,
  }).initialize();
  try {
    await work({ task, db, config, clock: new Clock(), say, complain });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    complain(error.code, error.message);
    process.exitCode = refusedWith;
  } finally {
    await db.destroy();
  }
}

/** Columns as wide as what is in them. */
export function table(rows: readonly (readonly string[])[], none: string): string[] {
  if (rows.length === 0) return [none];
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** What people chose to call their things is shown and not obeyed. */
function voice(isJson: boolean): Pick<OperatorTools<unknown>, 'say' | 'complain'> {
  return {
    say: (value, lines) => {
      const text = isJson ? JSON.stringify(value) : lines.map(printable).join('\n');
      process.stdout.write(`${text}\n`);
    },
    complain: (error, message) => {
      const text = isJson ? JSON.stringify({ error, message }) : `lockstep: ${printable(message)}`;
      process.stderr.write(`${text}\n`);
    },
  };
}

const printable = (text: string) => text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
