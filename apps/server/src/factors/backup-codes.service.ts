import { randomInt } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Failure } from '#lib/protocol';
import { FactorKeysService } from './factor-keys.service.ts';

const COUNT = 10;
/** Without those that are taken for one another: 50 bits. */
const LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
const LENGTH = 10;

/** Codes on paper, each good once, in the place of a second factor that is not at hand. */
@Injectable()
export class BackupCodesService {
  constructor(private readonly keys: FactorKeysService) {}

  /** Makes ten in the place of those there were; nobody can read them again. */
  async replace(tx: EntityManager, uid: string): Promise<string[]> {
    const codes = Array.from({ length: COUNT }, () =>
      Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join(''),
    );
    const hashes = await Promise.all(
      codes.map(async (code) => (await this.keys.hashes(uid, code))[0]),
    );
    await this.drop(tx, uid);
    await tx.query(`INSERT INTO backup_code (uid, hash) SELECT $1, unnest($2::bytea[])`, [
      ...[uid, hashes],
    ]);
    return codes.map((code) => `${code.slice(0, LENGTH / 2)}-${code.slice(LENGTH / 2)}`);
  }

  /**
   * Uses a code up: one statement, so that of two who give it one gets in.
   *
   * @returns how many are left
   * @throws Failure `invalid-backup-code`
   */
  async take(tx: EntityManager, uid: string, typed: string): Promise<number> {
    // As people type it: spaces, dashes and small letters make no difference.
    const code = typed.replaceAll(/[\s-]/g, '').toUpperCase();
    const [rows] = await tx.query<[unknown[], number]>(
      `DELETE FROM backup_code WHERE uid = $1 AND hash = ANY($2) RETURNING uid`,
      [uid, await this.keys.hashes(uid, code)],
    );
    if (rows.length === 0) {
      throw new Failure('invalid-backup-code', 'The backup code is unknown or was used.');
    }
    return this.count(uid, tx);
  }

  /** How many are left. */
  async count(uid: string, tx: Pick<EntityManager, 'query'>): Promise<number> {
    const [row] = await tx.query<{ count: number }[]>(
      `SELECT count(*)::integer AS count FROM backup_code WHERE uid = $1`,
      [uid],
    );
    return row?.count ?? 0;
  }

  /** For an account without factors, or new codes. */
  async drop(tx: EntityManager, uid: string): Promise<void> {
    await tx.query(`DELETE FROM backup_code WHERE uid = $1`, [uid]);
  }
}
