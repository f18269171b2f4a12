import type { Adapter, AdapterPayload } from 'oidc-provider';
import { type DataSource, QueryFailedError } from 'typeorm';
import type { Clock } from '../platform/clock.ts';
import { retried } from '../platform/deadlock.ts';
import type { ClientsService } from './clients.service.ts';
import { PROOF_SECONDS } from './dpop-proof.ts';
import { errors } from './oidc-provider.ts';
import { hashOf } from './token-hash.ts';

/** Whoever knows the id of one of these can use it, so only the SHA-256 is stored. */
const bearers = new Set([
  'AccessToken',
  'RefreshToken',
  'AuthorizationCode',
  'DeviceCode',
  'PushedAuthorizationRequest',
  'Session', // in a cookie
]);
/** What lives by a grant, and dies with it by the foreign key. */
const granted = new Set(['AccessToken', 'RefreshToken', 'AuthorizationCode', 'DeviceCode']);

/** Seconds that a device code is kept after its end: a device that asks late is told so. */
export const DEVICE_CODE_KEPT_SECONDS = 3600;

interface Row {
  payload: AdapterPayload;
  consumed: number | null;
  expiresAt: Date;
}

/** What oidc-provider keeps, in one table: a row per code, token, grant, session and interaction. */
class OidcAdapter implements Adapter {
  private readonly isBearer: boolean;
  private readonly keptSeconds: number;

  constructor(
    private readonly model: string,
    private readonly db: DataSource,
    private readonly clock: Clock,
  ) {
    this.isBearer = bearers.has(model);
    this.keptSeconds = model === 'DeviceCode' ? DEVICE_CODE_KEPT_SECONDS : 0;
  }

  /** @throws InvalidGrant when the grant was revoked meanwhile, or the proof was used */
  async upsert(id: string, payload: AdapterPayload, expiresIn: number): Promise<void> {
    const isProof = this.model === 'ReplayDetection';
    const now = this.clock.now();
    // The provider forgets a proof before the last moment at which it would take it.
    const until = new Date(
      now.getTime() + (isProof ? PROOF_SECONDS : expiresIn + this.keptSeconds) * 1000,
    );
    if (this.model === 'AuthorizationCode' && payload.sid !== undefined) {
      // Whoever ends the grant tells the app by this name (Back-Channel Logout 1.0 §2.4).
      await this.db.query(
        `UPDATE oidc SET payload = jsonb_set(payload, '{sid}', to_jsonb($2::text))
          WHERE model = 'Grant' AND id = $1`,
        [payload.grantId, payload.sid],
      );
    }
    let rows: unknown[];
    try {
      rows = await this.db.query<unknown[]>(
        `INSERT INTO oidc (model, id, grant_key, grant_id, uid, user_code, expires_at, payload)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (model, id) DO UPDATE SET payload = excluded.payload, uid = excluded.uid,
           expires_at = excluded.expires_at, user_code = excluded.user_code,
           grant_id = excluded.grant_id
         WHERE oidc.model <> 'ReplayDetection' OR oidc.expires_at <= $9
         RETURNING model`,
        [
          this.model,
          this.key(id),
          this.model === 'Grant' ? id : null,
          granted.has(this.model) ? (payload.grantId ?? null) : null,
          this.model === 'Session' ? payload.uid : null,
          payload.userCode ?? null,
          until,
          this.withoutSecrets(payload),
          now,
        ],
      );
    } catch (error) {
      const { code } =
        error instanceof QueryFailedError ? (error.driverError as { code?: string }) : {};
      if (code === '23503') throw new errors.InvalidGrant('the grant was revoked');
      throw error;
    }
    // The provider looked, and found none; of several that did so at once, one has written it down.
    if (rows.length === 0) throw new errors.InvalidGrant('DPoP proof JWT Replay detected');
  }

  async find(id: string): Promise<AdapterPayload | undefined> {
    const found = await this.one('id', this.key(id));
    return found && this.isBearer ? { ...found, jti: id } : found;
  }

  findByUid(uid: string): Promise<AdapterPayload | undefined> {
    return this.one('uid', uid);
  }

  findByUserCode(userCode: string): Promise<AdapterPayload | undefined> {
    return this.one('user_code', userCode);
  }

  async destroy(id: string): Promise<void> {
    if (this.model === 'Grant') {
      await this.endGrant(id);
      return;
    }
    await this.db.query(`DELETE FROM oidc WHERE model = $1 AND id = $2`, [
      this.model,
      this.key(id),
    ]);
  }

  /**
   * Nothing: where a whole grant is revoked, the provider destroys it too, and the foreign key
   * takes what was issued under it. Where only an access token is, its neighbours stay.
   */
  revokeByGrantId(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * Decides who of several may use a code or a refresh token: one changes the row, and every other
   * shows that it leaked, so the grant goes with everything issued under it (RFC 9700 §4.14.2).
   */
  async consume(id: string): Promise<void> {
    const [rows] = await this.db.query<[unknown[], number]>(
      `UPDATE oidc SET consumed = $3
        WHERE model = $1 AND id = $2 AND consumed IS NULL RETURNING id`,
      [this.model, this.key(id), this.clock.seconds()],
    );
    if (rows.length > 0) return;
    const [row] = await this.db.query<{ grant_id: string }[]>(
      `SELECT grant_id FROM oidc WHERE model = $1 AND id = $2`,
      [this.model, this.key(id)],
    );
    if (row) await this.endGrant(row.grant_id);
    throw new errors.InvalidGrant('already used');
  }

  /** Ends a grant with all that was issued under it, also the session that it brought along. */
  private async endGrant(id: string): Promise<void> {
    await retried(() =>
      this.db.query(
        `WITH gone AS (DELETE FROM oidc WHERE grant_key = $1 RETURNING session_id, owns_session)
         DELETE FROM session USING gone WHERE session.id = gone.session_id AND gone.owns_session`,
        [id],
      ),
    );
  }

  private withoutSecrets(payload: AdapterPayload): AdapterPayload {
    if (this.isBearer) return { ...payload, jti: undefined };
    // An interaction repeats its browser's cookie, which nobody reads there.
    return payload.session
      ? { ...payload, session: { ...payload.session, cookie: undefined } }
      : payload;
  }

  private key(id: string): string {
    return this.isBearer ? hashOf(id) : id;
  }

  private async one(
    column: 'id' | 'uid' | 'user_code',
    value: string,
  ): Promise<AdapterPayload | undefined> {
    const [row] = await this.db.query<Row[]>(
      `SELECT payload, consumed, expires_at AS "expiresAt" FROM oidc
        WHERE model = $1 AND ${column} = $2 AND expires_at > $3`,
      [this.model, value, this.clock.now()],
    );
    if (!row) return undefined;
    const isOver = row.expiresAt.getTime() - this.keptSeconds * 1000 <= this.clock.now().getTime();
    return {
      ...row.payload,
      ...(row.consumed !== null && { consumed: row.consumed }),
      ...(isOver && { exp: 0 }),
    };
  }
}

/** The apps, which an operator adds to a table of their own: oidc-provider only reads them. */
class ClientAdapter implements Adapter {
  constructor(private readonly clients: ClientsService) {}

  async find(id: string): Promise<AdapterPayload | undefined> {
    const found = await this.clients.findWithSecret(id);
    if (!found) return undefined;
    const isPublic = found.token_endpoint_auth_method === 'none';
    // The provider wants a secret to be there; what it is compared with are `client_secrets`.
    return { ...found, ...(!isPublic && { client_secret: 'hashed' }) } as AdapterPayload;
  }

  upsert = refuse;
  destroy = refuse;
  consume = refuse;
  revokeByGrantId = refuse;
  findByUid = refuse;
  findByUserCode = refuse;
}

function refuse(): Promise<never> {
  return Promise.reject(new Error('apps are only read'));
}

/** The adapter of each model that oidc-provider asks for. */
export const adapters =
  (db: DataSource, clock: Clock, clients: ClientsService) =>
  (model: string): Adapter =>
    model === 'Client' ? new ClientAdapter(clients) : new OidcAdapter(model, db, clock);
