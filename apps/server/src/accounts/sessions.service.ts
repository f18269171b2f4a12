import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { bundleKeys, deriveToken, type KeysBundle, toHex } from '#lib/crypto';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { idOf } from './hawk.service.ts';
import { KeyFetchTokenEntity } from './key-fetch-token.entity.ts';
import { SessionEntity } from './session.entity.ts';

/** A keyFetchToken waits a day for the address to be verified. */
const KEY_FETCH_LIFE_SECONDS = 86_400;

/** Mints, and ends, the tokens of a signed-in device. The tokens themselves are never stored. */
@Injectable()
export class SessionsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /** @returns the sessionToken, 32 bytes in hex, and when it began, in seconds since 1970 */
  async start(tx: EntityManager, uid: string): Promise<{ sessionToken: string; authAt: number }> {
    const token = randomBytes(32);
    const { id, reqHMACkey } = deriveToken(token, 'sessionToken');
    const createdAt = this.clock.now();
    await tx.insert(SessionEntity, {
      id: idOf(toHex(id)),
      uid,
      reqHmacKey: Buffer.from(reqHMACkey),
      createdAt,
      authAt: createdAt,
      usedAt: createdAt,
    });
    return {
      sessionToken: token.toString('hex'),
      authAt: Math.floor(createdAt.getTime() / 1000),
    };
  }

  /** Ends a session, and by the foreign keys every grant and token that was given in it. */
  async end(id: string, tx: EntityManager = this.db.manager): Promise<void> {
    await tx.query(`DELETE FROM session WHERE id = $1`, [id]);
  }

  /**
   * Encrypts the keys for whoever holds the token that this returns, and forgets the token.
   *
   * @returns the keyFetchToken, 32 bytes in hex
   */
  async prepareKeys(tx: EntityManager, uid: string, keys: KeysBundle): Promise<string> {
    const token = randomBytes(32);
    const { id, reqHMACkey, bundleKey } = deriveToken(token, 'keyFetchToken');
    const now = this.clock.now();
    await tx.query(`DELETE FROM key_fetch_token WHERE uid = $1 AND expires_at <= $2`, [uid, now]);
    await tx.insert(KeyFetchTokenEntity, {
      id: idOf(toHex(id)),
      uid,
      reqHmacKey: Buffer.from(reqHMACkey),
      bundle: Buffer.from(bundleKeys(bundleKey, keys.kA, keys.wrapKb)),
      expiresAt: new Date(now.getTime() + KEY_FETCH_LIFE_SECONDS * 1000),
    });
    return token.toString('hex');
  }

  /**
   * Hands the bundle out, once: one statement deletes the row and decides between two who ask.
   *
   * @param id - of the row, as the guard recognised it
   * @returns ct | mac in hex
   * @throws Failure `unverified-account`, and the token stays good; `unauthenticated` when it is used
   */
  async takeKeys(id: string): Promise<string> {
    const [rows] = await this.db.query<[{ bundle: Buffer }[], number]>(
      `DELETE FROM key_fetch_token k USING account a
        WHERE k.id = $1 AND k.expires_at > $2 AND a.uid = k.uid AND a.verified_at IS NOT NULL
        RETURNING k.bundle`,
      [id, this.clock.now()],
    );
    const [taken] = rows;
    if (taken) return taken.bundle.toString('hex');
    if (await this.db.getRepository(KeyFetchTokenEntity).existsBy({ id })) {
      throw new Failure('unverified-account', 'The address is not verified yet.');
    }
    throw new Failure('unauthenticated', 'The token was already used.');
  }
}
