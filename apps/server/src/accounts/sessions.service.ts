import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { bundleKeys, deriveToken, fromHex, type KeysBundle, toHex } from '#lib/crypto';
import { Failure, type KeyFetch, type SignedIn } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import type { AccountEntity } from './account.entity.ts';
import { idOf } from './hawk.service.ts';
import { KeyFetchTokenEntity } from './key-fetch-token.entity.ts';
import type { WrapKb } from './passwords.service.ts';
import { SessionEntity } from './session.entity.ts';
import { AWAITED, expectVerified, type GivenFactor, type Proofs } from './proofs.guard.ts';

/** A keyFetchToken waits a day for the address to be verified. */
const KEY_FETCH_LIFE_SECONDS = 86_400;

/** Mints, and ends, the tokens of a signed-in device. The tokens themselves are never stored. */
@Injectable()
export class SessionsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /**
   * Signs somebody in whose password was just checked or set, in the transaction that holds the
   * account. Where it has a second factor that was not given, what comes back opens nothing yet.
   *
   * @param wrapKb - asks for the keys
   * @param proven - a second factor that was given before, as with the token of a change
   */
  async signIn(
    tx: EntityManager,
    account: AccountEntity,
    { wrapKb, proven, replaces }: { wrapKb?: WrapKb; proven?: GivenFactor; replaces?: string } = {},
  ): Promise<SignedIn> {
    const { uid, verifiedAt, hasFactors } = account;
    const factor = proven?.factor ?? null;
    const awaitsFactor = hasFactors && factor === null;
    const started = await this.start(
      tx,
      uid,
      { authAt: this.clock.now(), awaitsFactor, factor, factorAt: proven?.factorAt ?? null },
      replaces,
    );
    const awaits = awaitsFactor ? sessionIdOf(started.sessionToken) : null;
    return {
      uid,
      ...started,
      ...(wrapKb && (await this.fetchOf(tx, account, wrapKb, awaits))),
      verified: verifiedAt !== null && !awaitsFactor,
      ...(awaitsFactor && AWAITED),
    };
  }

  /**
   * @param replaces - the id of a session that this one takes the place of
   * @returns the sessionToken, 32 bytes in hex, and `authAt` in seconds since 1970
   */
  async start(
    tx: EntityManager,
    uid: string,
    { authAt, awaitsFactor, factor, factorAt }: Proofs,
    replaces: string | null = null,
  ): Promise<{ sessionToken: string; authAt: number }> {
    const token = randomBytes(32);
    const { id, reqHMACkey } = deriveToken(token, 'sessionToken');
    const now = this.clock.now();
    await tx.insert(SessionEntity, {
      id: idOf(toHex(id)),
      uid,
      reqHmacKey: Buffer.from(reqHMACkey),
      createdAt: now,
      ...{ authAt, awaitsFactor, factor, factorAt },
      usedAt: now,
      replaces,
    });
    return { sessionToken: token.toString('hex'), authAt: toSeconds(authAt) };
  }

  /**
   * Notes that the password was given again in a session.
   *
   * @returns now, in seconds since 1970
   * @throws Failure `unauthenticated` when the session ended meanwhile
   */
  async renew(tx: EntityManager, id: string): Promise<number> {
    const now = this.clock.now();
    const { affected } = await tx.update(SessionEntity, { id }, { authAt: now });
    if (affected === 0) throw sessionEnded();
    return toSeconds(now);
  }

  /**
   * Notes that a second factor was given in a session, which opens everything from then on.
   *
   * @throws Failure `unauthenticated` when the session ended meanwhile
   */
  async give(tx: EntityManager, id: string, { factor, factorAt }: GivenFactor): Promise<void> {
    const { affected } = await tx.update(
      SessionEntity,
      { id },
      { awaitsFactor: false, factor, factorAt },
    );
    if (affected === 0) throw sessionEnded();
  }

  /**
   * Starts another session that is as old as this one, for a client that hands one on.
   *
   * @throws Failure `unauthenticated` when the session ended meanwhile
   */
  async duplicate({ id, uid }: { id: string; uid: string }): Promise<{
    sessionToken: string;
    authAt: number;
  }> {
    return this.db.transaction(async (tx) => {
      // A change of the password waits for this, and then ends both.
      const [found] = await tx.query<Proofs[]>(
        `SELECT ${PROOFS} FROM account a JOIN session s USING (uid) WHERE s.id = $1 FOR SHARE`,
        [id],
      );
      if (!found) throw sessionEnded();
      return this.start(tx, uid, found);
    });
  }

  /** Sessions of an account that open something, the newest first. */
  list(uid: string): Promise<SessionEntity[]> {
    return this.db
      .getRepository(SessionEntity)
      .find({ where: { uid, awaitsFactor: false }, order: { usedAt: 'DESC' } });
  }

  /** Ends a session, and by the foreign keys every grant and token that was given in it. */
  async end(id: string, tx: EntityManager = this.db.manager): Promise<void> {
    await tx.query(`DELETE FROM session WHERE id = $1`, [id]);
  }

  /**
   * Ends the session that another one replaces. A Firefox whose password was changed on our page goes
   * on with the new session, where it registers itself again; it would stand in every list twice.
   */
  async endReplaced(tx: EntityManager, id: string): Promise<void> {
    await tx.query(
      `DELETE FROM session o USING session n
        WHERE n.id = $1 AND o.id = n.replaces AND o.uid = n.uid`,
      [id],
    );
  }

  /**
   * Ends another session of the account.
   *
   * @param tokenId - 32 bytes in hex, or its SHA-256 in hex as lists of sessions have it
   * @throws Failure `unauthenticated` when the account has no such session
   */
  async endOther(uid: string, tokenId: string): Promise<void> {
    const listed = Buffer.from(tokenId, 'hex').toString('base64url');
    const [, count] = await this.db.query<[unknown[], number]>(
      `DELETE FROM session WHERE id IN ($1, $2) AND uid = $3`,
      [idOf(tokenId), listed, uid],
    );
    if (count === 0) throw sessionEnded();
  }

  /**
   * Ends the sessions of an account, with what was granted in them, and every fetch of its keys.
   *
   * @param but - ids of sessions that stay; `all`: they all do
   */
  async endAll(tx: EntityManager, uid: string, but: readonly string[] | 'all'): Promise<void> {
    await tx.query(`DELETE FROM key_fetch_token WHERE uid = $1`, [uid]);
    if (but === 'all') return;
    await tx.query(`DELETE FROM session WHERE uid = $1 AND NOT id = ANY($2)`, [uid, but]);
  }

  /** Ends whatever the account granted to apps, in a session or not, and its browsers' consent. */
  async endGrants(tx: EntityManager, uid: string): Promise<void> {
    await tx.query(
      `DELETE FROM oidc WHERE model IN ('Grant', 'Session') AND payload ->> 'accountId' = $1`,
      [uid],
    );
  }

  /**
   * A fetch of the keys for each stretching that kB's wrapping is known of.
   *
   * @param awaits - the id of the session that must give a second factor before
   */
  async fetchOf(
    tx: EntityManager,
    { uid, ka }: Pick<AccountEntity, 'uid' | 'ka'>,
    { v1, v2 }: WrapKb,
    awaits: string | null = null,
  ): Promise<KeyFetch> {
    const prepare = (wrapKb: Uint8Array) => this.prepareKeys(tx, uid, { kA: ka, wrapKb }, awaits);
    return {
      ...(v1 && { keyFetchToken: await prepare(v1) }),
      ...(v2 && { keyFetchTokenVersion2: await prepare(v2) }),
    };
  }

  /**
   * Encrypts the keys for whoever holds the token that this returns, and forgets the token.
   *
   * @returns the keyFetchToken, 32 bytes in hex
   */
  private async prepareKeys(
    tx: EntityManager,
    uid: string,
    keys: KeysBundle,
    awaits: string | null,
  ): Promise<string> {
    const token = randomBytes(32);
    const { id, reqHMACkey, bundleKey } = deriveToken(token, 'keyFetchToken');
    const now = this.clock.now();
    await tx.query(`DELETE FROM key_fetch_token WHERE uid = $1 AND expires_at <= $2`, [uid, now]);
    await tx.insert(KeyFetchTokenEntity, {
      id: idOf(toHex(id)),
      uid,
      awaits,
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
   * @throws Failure `unverified-account`, `unverified-session`, and the token stays good;
   *   `unauthenticated` when it is used
   */
  async takeKeys(id: string): Promise<string> {
    const [rows] = await this.db.query<[{ bundle: Buffer }[], number]>(
      `DELETE FROM key_fetch_token k USING account a
        WHERE k.id = $1 AND k.expires_at > $2 AND a.uid = k.uid AND a.verified_at IS NOT NULL
          AND (k.awaits IS NULL OR EXISTS (
            SELECT FROM session s WHERE s.id = k.awaits AND s.factor_at IS NOT NULL))
        RETURNING k.bundle`,
      [id, this.clock.now()],
    );
    const [taken] = rows;
    if (taken) return taken.bundle.toString('hex');
    const [waiting] = await this.db.query<{ emailVerified: boolean }[]>(
      `SELECT a.verified_at IS NOT NULL AS "emailVerified"
         FROM key_fetch_token k JOIN account a USING (uid) WHERE k.id = $1`,
      [id],
    );
    if (waiting) expectVerified({ ...waiting, verified: false });
    throw new Failure('unauthenticated', 'The token was already used.');
  }
}

/** Of a session `s`, as {@link Proofs}. */
export const PROOFS = `s.auth_at AS "authAt", s.awaits_factor AS "awaitsFactor", s.factor,
  s.factor_at AS "factorAt"`;

/** What the table knows a session by. @param token - 32 bytes in hex */
const sessionIdOf = (token: string): string =>
  idOf(toHex(deriveToken(fromHex(token), 'sessionToken').id));

const toSeconds = (time: Date) => Math.floor(time.getTime() / 1000);

const sessionEnded = () => new Failure('unauthenticated', 'The session has ended.');
