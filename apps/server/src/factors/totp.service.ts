import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Secret, TOTP } from 'otpauth';
import type { EntityManager } from 'typeorm';
import { renderSVG } from 'uqr';
import { Failure, type TotpCreated } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { FactorKeysService } from './factor-keys.service.ts';

/** What every authenticator can do: RFC 6238 with HMAC-SHA1, six digits, half a minute each. */
const PARAMETERS = { algorithm: 'SHA1', digits: 6, period: 30 } as const;
const SECRET_BYTES = 20;
/** Clocks and fingers may be late, or early, by one code. */
const WINDOW = 1;

interface Row {
  secret: Buffer;
  isEnabled: boolean;
}

/** Codes of an authenticator app. The secret is one that both know; docs/protocol/second-factors.md. */
@Injectable()
export class TotpService {
  constructor(
    private readonly keys: FactorKeysService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Makes a secret, which is no factor before a code shows that an authenticator has it. One that
   * was not proven is replaced.
   *
   * @throws Failure `factor-exists`
   */
  async create(tx: EntityManager, uid: string, email: string): Promise<TotpCreated> {
    const bytes = randomBytes(SECRET_BYTES);
    const made = await tx.query<unknown[]>(
      `INSERT INTO totp AS t (uid, secret, created_at) VALUES ($1, $2, $3)
       ON CONFLICT (uid) DO UPDATE SET secret = excluded.secret, last_counter = NULL,
         created_at = excluded.created_at WHERE t.enabled_at IS NULL
       RETURNING uid`,
      [uid, await this.keys.seal(uid, bytes), this.clock.now()],
    );
    if (made.length === 0) throw new Failure('factor-exists', 'There is an authenticator.');
    const totp = new TOTP({
      ...PARAMETERS,
      issuer: `Lockstep ${this.config.publicUrl.host}`,
      label: email,
      secret: new Secret({ buffer: new Uint8Array(bytes).buffer }),
    });
    const otpauthUrl = totp.toString();
    const qrCodeUrl = `data:image/svg+xml;base64,${Buffer.from(renderSVG(otpauthUrl)).toString('base64')}`;
    return { qrCodeUrl, otpauthUrl, secret: totp.secret.base32 };
  }

  /** Whether there is one, and whether it was proven. */
  async find(
    uid: string,
    tx: Pick<EntityManager, 'query'>,
  ): Promise<{ isEnabled: boolean } | undefined> {
    const [row] = await tx.query<{ isEnabled: boolean }[]>(
      `SELECT enabled_at IS NOT NULL AS "isEnabled" FROM totp WHERE uid = $1`,
      [uid],
    );
    return row;
  }

  /**
   * Takes a code, which is good once: a number of its half minute that is larger than the last one's
   * decides, in one statement, also between two who give the same. The first makes it a factor.
   *
   * @param wants - whether it is to be one already
   * @throws Failure `no-factor`, `invalid-digits`
   */
  async take(tx: EntityManager, uid: string, code: string, wants: Row['isEnabled']): Promise<void> {
    const [row] = await tx.query<Row[]>(
      `SELECT secret, enabled_at IS NOT NULL AS "isEnabled" FROM totp WHERE uid = $1`,
      [uid],
    );
    if (row?.isEnabled !== wants) throw noAuthenticator();
    const now = this.clock.now();
    const secret = new Uint8Array(await this.keys.open(uid, row.secret));
    const totp = new TOTP({ ...PARAMETERS, secret: new Secret({ buffer: secret.buffer }) });
    const timestamp = now.getTime();
    const delta = totp.validate({ token: code, timestamp, window: WINDOW });
    const [taken] = await tx.query<[unknown[], number]>(
      `UPDATE totp SET last_counter = $3, enabled_at = coalesce(enabled_at, $4)
        WHERE uid = $1 AND secret = $2 AND coalesce(last_counter, 0) < $3 RETURNING uid`,
      [uid, row.secret, delta === null ? 0 : totp.counter({ timestamp }) + delta, now],
    );
    if (taken.length === 0) throw new Failure('invalid-digits', 'The code is wrong or was used.');
  }

  /** @returns whether there was one that was a factor */
  async remove(tx: EntityManager, uid: string): Promise<boolean> {
    const [rows] = await tx.query<[{ wasEnabled: boolean }[], number]>(
      `DELETE FROM totp WHERE uid = $1 RETURNING enabled_at IS NOT NULL AS "wasEnabled"`,
      [uid],
    );
    return rows[0]?.wasEnabled ?? false;
  }
}

/** For an account that has no authenticator, or none that was proven. */
export const noAuthenticator = () => new Failure('no-factor', 'There is no authenticator.');
