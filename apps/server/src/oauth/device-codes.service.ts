import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { Clock } from '../platform/clock.ts';
import type { AppParams, Given } from './app-params.ts';
import { DEVICE_CODE_KEPT_SECONDS } from './oidc.adapter.ts';
import { hashOf } from './token-hash.ts';

/** Seconds that a device waits between two questions (RFC 8628 §3.5). */
export const POLL_SECONDS = 5;
/** A question may be on its way for longer than the one before it. */
const EARLY_MS = 1000;

/** A device that waits for an account's answer. */
export interface WaitingDevice {
  /** The row's: SHA-256 of the device code, which opens nothing. */
  id: string;
  /** Eight letters, without the dash. */
  userCode: string;
  params: AppParams;
  /** From where, and with what, it asked. */
  client: string;
  agent: string;
  /** Seconds. */
  expiresIn: number;
}

interface Row {
  id: string;
  payload: {
    userCode: string;
    params: AppParams;
    deviceInfo?: { client: string; agent: string };
  };
  expiresAt: Date;
}

/** An answered one has no user code any more. */
const WAITING = `model = 'DeviceCode' AND user_code = $1 AND expires_at > $2`;

/** The codes of devices, from the question to the answer; oidc-provider makes and redeems them. */
@Injectable()
export class DeviceCodesService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /** The device that shows this code; undefined for a code that is unknown, too old or answered. */
  async find(typed: string): Promise<WaitingDevice | undefined> {
    const userCode = normalized(typed);
    const [row] = await this.db.query<Row[]>(
      `SELECT id, payload, expires_at AS "expiresAt" FROM oidc WHERE ${WAITING}
        ORDER BY expires_at DESC LIMIT 1`,
      [userCode, this.deadline()],
    );
    if (!row) return undefined;
    const { params, deviceInfo } = row.payload;
    const leftMs = row.expiresAt.getTime() - this.deadline().getTime();
    return {
      ...{ id: row.id, userCode, params },
      ...{ client: deviceInfo?.client ?? '', agent: deviceInfo?.agent ?? '' },
      expiresIn: Math.max(Math.floor(leftMs / 1000), 0),
    };
  }

  /** Lets the device have its tokens. @returns false when somebody else answered before */
  approve(
    { id, userCode, params }: WaitingDevice,
    { grantId, uid, signIn, scopes }: Given,
    tx: EntityManager,
  ): Promise<boolean> {
    const { resource, nonce } = params;
    const sid = randomBytes(16).toString('base64url');
    const answer = {
      sid,
      ...{ accountId: uid, grantId, authTime: signIn.ts, acr: signIn.acr, amr: signIn.amr },
      scope: scopes.join(' '),
      ...(Array.isArray(resource) && resource.length === 0 ? {} : { resource }),
      ...(nonce !== undefined && { nonce }),
    };
    return this.answer(tx, { id, userCode }, answer, { grantId, sid });
  }

  /** Tells the device that it gets nothing. @returns false when somebody else answered before */
  refuse({ id, userCode }: WaitingDevice): Promise<boolean> {
    const answer = { error: 'access_denied', errorDescription: 'The account refused.' };
    return this.answer(this.db.manager, { id, userCode }, answer);
  }

  /** Whether a device asks no sooner than it was told to (RFC 8628 §3.5). */
  async mayPoll(deviceCode: string): Promise<boolean> {
    const now = this.clock.now();
    const before = new Date(now.getTime() - POLL_SECONDS * 1000 + EARLY_MS);
    const [rows] = await this.db.query<[unknown[], number]>(
      `UPDATE oidc SET used_at = $2
        WHERE model = 'DeviceCode' AND id = $1 AND (used_at IS NULL OR used_at <= $3)
        RETURNING id`,
      [hashOf(deviceCode), now, before],
    );
    return rows.length > 0;
  }

  /**
   * One statement decides between two who answer at once; a code is dead after the first.
   *
   * @param given - `sid` names the grant to the app when it ends (Back-Channel Logout 1.0 §2.4), as a
   *   browser's session would
   */
  private async answer(
    tx: EntityManager,
    { id, userCode }: Pick<WaitingDevice, 'id' | 'userCode'>,
    answer: object,
    given?: { grantId: string; sid: string },
  ): Promise<boolean> {
    const rows = await tx.query<unknown[]>(
      `WITH answered AS (
         UPDATE oidc SET payload = payload || $4::jsonb, grant_id = $5, user_code = NULL
          WHERE ${WAITING} AND id = $3 RETURNING id),
       named AS (
         UPDATE oidc g SET payload = g.payload || jsonb_build_object('sid', $6::text)
           FROM answered WHERE g.model = 'Grant' AND g.id = $5)
       SELECT id FROM answered`,
      [userCode, this.deadline(), id, answer, given?.grantId ?? null, given?.sid ?? null],
    );
    return rows.length > 0;
  }

  /** Rows that are gone by then are too old by now. */
  private deadline(): Date {
    return new Date(this.clock.now().getTime() + DEVICE_CODE_KEPT_SECONDS * 1000);
  }
}

/** What was typed, as the table has it: the codes hold no vowel, no digit and no dash. */
const normalized = (typed: string): string => typed.toUpperCase().replaceAll(/[^A-Z]/g, '');
