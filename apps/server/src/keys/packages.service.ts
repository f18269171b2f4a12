import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { CryptoRefusal, importPublicKey } from '#lib/crypto';
import {
  type ClaimedPackage,
  Failure,
  KEY_PACKAGE_LIFE_SECONDS_MAX,
  KEY_PACKAGE_TYPE,
  KeyPackage,
  KEYS_LIMITS,
  type PackagesNow,
} from '#lib/protocol';
import { LimitsService } from '../limits/limits.service.ts';
import type { Grant } from '../oauth/bearer.guard.ts';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { DirectoryService } from './directory.service.ts';
import { KeysService } from './keys.service.ts';
import { openSigned, type Place, readPart } from './signed.ts';

const PURGE_MS = 3_600_000;

/** Key packages: each is given to one person alone, but for the last resort. */
@Injectable()
export class PackagesService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('keys');
  private readonly job = new RepeatedJob(
    () => this.db.query(`DELETE FROM key_package WHERE expires_at <= $1`, [this.clock.now()]),
    (error) => {
      this.logger.warn({ event: 'packages-not-purged', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly keys: KeysService,
    private readonly directory: DirectoryService,
    private readonly limits: LimitsService,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(PURGE_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /**
   * Takes all of them or none.
   *
   * @throws Failure `forbidden` to who has published no keys, `invalid-package`, `signature-required`,
   *   `conflict` for an id that was used or an older last resort, `over-quota`
   */
  async publish(caller: Grant, texts: readonly string[]): Promise<PackagesNow> {
    const identity = await this.keys.signerOf(caller);
    const place = await this.keys.placeOf(caller);
    const packages = texts.map((text) => open(text, place, identity));
    if (packages.filter(({ last }) => last).length > 1) {
      throw refuse('There is one last resort at most.');
    }
    return this.db.transaction(async (tx) => {
      await this.expectStill(tx, caller, identity);
      await this.store(tx, caller, { texts, packages, identity });
      const now = await this.count(tx, caller, identity);
      if (now.waiting > KEYS_LIMITS.packages) {
        throw new Failure('over-quota', `At most ${KEYS_LIMITS.packages} packages wait.`);
      }
      return now;
    });
  }

  /**
   * Claims a package of somebody who can be found; the last resort when no other waits.
   *
   * @throws Failure as a look-up does, `too-many-requests`
   */
  async claim(caller: Grant, uid: string): Promise<ClaimedPackage> {
    const { clientId } = caller;
    const [found] = (await this.directory.lookUp([uid], caller)).results;
    if (found?.skl === undefined) return { found: false };
    await this.limits.spend('package-claim', {
      client: `${caller.uid} ${clientId}`,
      account: uid,
    });
    const values = [uid, clientId, this.keys.signerIn(found.skl), this.clock.now()];
    const [claimed] = await this.db.query<[{ package: string }[], number]>(CLAIM, values);
    const [row] = claimed.length > 0 ? claimed : await this.lastResort(values);
    return row ? { found: true, package: row.package } : { found: false };
  }

  private lastResort(values: unknown[]): Promise<{ package: string }[]> {
    return this.db.query(
      `SELECT package FROM key_package
        WHERE uid = $1 AND client_id = $2 AND signer = $3 AND expires_at > $4 AND is_last`,
      values,
    );
  }

  private async store(
    tx: EntityManager,
    caller: Grant,
    {
      texts,
      packages,
      identity,
    }: { texts: readonly string[]; packages: KeyPackage[]; identity: string },
  ): Promise<void> {
    const { uid, clientId } = caller;
    // What another identity signed would be refused by whoever claims it.
    await tx.query(
      `DELETE FROM key_package
        WHERE uid = $1 AND client_id = $2 AND (signer <> $3 OR expires_at <= $4)`,
      [uid, clientId, identity, this.clock.now()],
    );
    const last = packages.find((one) => one.last);
    if (last) await this.makeWay(tx, caller, last);
    const stored = await tx.query<unknown[]>(
      `INSERT INTO key_package (uid, client_id, id, package, signer, is_last, expires_at)
       SELECT $1, $2, one.id, one.package, $3, one.is_last, to_timestamp(one.exp)
         FROM unnest($4::text[], $5::text[], $6::boolean[], $7::bigint[])
                AS one (id, package, is_last, exp)
           ON CONFLICT DO NOTHING RETURNING id`,
      [
        ...[uid, clientId, identity, packages.map(({ id }) => id), texts],
        ...[packages.map(({ last }) => last === true), packages.map(({ exp }) => exp)],
      ],
    );
    if (stored.length < packages.length) throw new Failure('conflict', 'An id is used already.');
  }

  /**
   * One publication of a user at a time, of packages or of a list: else two at once would both find
   * room, or packages of an identity that was replaced meanwhile would take the place of newer ones.
   */
  private async expectStill(
    tx: EntityManager,
    { uid, clientId }: Grant,
    identity: string,
  ): Promise<void> {
    await tx.query(`SELECT FROM key_member WHERE uid = $1 AND client_id = $2 FOR UPDATE`, [
      ...[uid, clientId],
    ]);
    const [row] = await tx.query<{ skl: string }[]>(
      `SELECT l.skl FROM key_member m JOIN key_list l USING (uid, client_id, ver)
        WHERE m.uid = $1 AND m.client_id = $2`,
      [uid, clientId],
    );
    if (!row || this.keys.signerIn(row.skl) !== identity) throw notInUse();
  }

  /** Whoever has a token and an older last resort does not bring that one back. */
  private async makeWay(
    tx: EntityManager,
    { uid, clientId }: Grant,
    { iat }: KeyPackage,
  ): Promise<void> {
    const [gone] = await tx.query<[{ package: string }[], number]>(
      `DELETE FROM key_package WHERE uid = $1 AND client_id = $2 AND is_last RETURNING package`,
      [uid, clientId],
    );
    const isNewer = gone.some(
      (one) => (readPart(one.package.split('.')[1] ?? '') as KeyPackage).iat > iat,
    );
    if (isNewer) throw new Failure('conflict', 'A newer last resort stands.');
  }

  private async count(
    tx: EntityManager,
    { uid, clientId }: Grant,
    identity: string,
  ): Promise<PackagesNow> {
    const [row] = await tx.query<PackagesNow[]>(
      `SELECT count(*) FILTER (WHERE NOT is_last AND NOT is_claimed)::integer AS waiting,
              count(*) FILTER (WHERE is_last) > 0 AS "hasLast"
         FROM key_package
        WHERE uid = $1 AND client_id = $2 AND signer = $3 AND expires_at > $4`,
      [uid, clientId, identity, this.clock.now()],
    );
    return row ?? { waiting: 0, hasLast: false };
  }
}

const notInUse = () =>
  new Failure('signature-required', 'It is not signed by the identity in use.');
const refuse = (why: string, cause?: unknown) => new Failure('invalid-package', why, { cause });

function open(text: string, place: Place, identity: string): KeyPackage {
  const { signed, payload, signer } = openSigned(
    text,
    { typ: KEY_PACKAGE_TYPE, schema: KeyPackage, what: 'a key package', code: 'invalid-package' },
    place,
  );
  const { iat, exp } = payload;
  if (exp <= Math.max(place.now, iat)) throw refuse('It has expired.');
  if (exp - iat > KEY_PACKAGE_LIFE_SECONDS_MAX) throw refuse('It lives longer than 90 days.');
  try {
    importPublicKey((signed as { key: unknown }).key);
  } catch (error) {
    if (!(error instanceof CryptoRefusal)) throw error;
    throw refuse(error.message, error);
  }
  if (signer !== identity) throw notInUse();
  return payload;
}

/** Of many at once each gets another row, or none. Its id stays, so that it is not published again. */
const CLAIM = `
  WITH one AS (
    SELECT id, package FROM key_package
     WHERE uid = $1 AND client_id = $2 AND signer = $3 AND expires_at > $4
       AND NOT is_last AND NOT is_claimed
     ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED)
  UPDATE key_package p SET is_claimed = true, package = '' FROM one
   WHERE p.uid = $1 AND p.client_id = $2 AND p.id = one.id
  RETURNING one.package`;
