import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure } from '#lib/protocol';
import { runNamed } from '../platform/named-statement.ts';

/**
 * Runs statements that each connection prepares once, by name, and each in a transaction of its own.
 * A connection is held for as long as the database works, and never while a client reads or writes.
 */
@Injectable()
export class Statements {
  private readonly names = new Map<string, string>();

  constructor(@InjectDataSource() private readonly db: DataSource) {}

  /** @param text - one of a bounded number: every one stays prepared */
  async run<Row extends object>(text: string, values: unknown[]): Promise<Row[]> {
    let name = this.names.get(text);
    if (name === undefined) {
      name = `storage-${this.names.size}`;
      this.names.set(text, name);
    }
    return runNamed<Row>(this.db, { name, text, values }).catch((error: unknown) => {
      throw isHeld(error) ? moving() : error;
    });
  }

  /** For a function that always answers with one row. */
  async one<Row extends object>(text: string, values: unknown[]): Promise<Row> {
    const [row] = await this.run<Row>(text, values);
    if (row === undefined) throw new Error('A function of the database returned no row.');
    return row;
  }
}

/** Raised where a store is being moved to another node, so that all of the statement is undone. */
function isHeld(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'LS503';
}

/** For a moment: a client that asks again is served, here or where the token server then says. */
export const moving = () =>
  new Failure('unavailable', 'The store is being moved.', { headers: { 'retry-after': '1' } });
