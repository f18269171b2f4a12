import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { scopesIn } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { retried } from '../platform/deadlock.ts';
import { hashOf } from './token-hash.ts';

/** A client that keeps a refresh token, such as the browser of a phone. */
export interface RefreshClient {
  /** What everything that was issued to it hangs on; `oidc.grant_key`. It survives an exchange. */
  grantId: string;
  uid: string;
  clientId: string;
  clientName: string;
  scopes: string[];
  /** The session it was given in, or brought along: base64url SHA-256 of the token id. */
  sessionId: string | null;
  /** Whether the client brought that session along: it is the client's own, and of nobody else. */
  ownsSession: boolean;
  createdAt: Date;
  lastUsedAt: Date | null;
}

const CLIENT = `
  SELECT g.id AS "grantId", t.payload->>'accountId' AS uid, t.payload->>'clientId' AS "clientId",
         coalesce(c.metadata->>'client_name', t.payload->>'clientId') AS "clientName",
         t.payload->>'scope' AS scope, g.session_id AS "sessionId",
         g.owns_session AS "ownsSession",
         to_timestamp((g.payload->>'iat')::bigint) AS "createdAt", t.used_at AS "lastUsedAt"
    FROM oidc t
    JOIN oidc g ON g.grant_key = t.grant_id
    LEFT JOIN oauth_client c ON c.id = t.payload->>'clientId'
   WHERE t.model = 'RefreshToken' AND t.consumed IS NULL AND t.expires_at > $1`;

/** Refresh tokens as the rest of the server sees them: as clients of an account. */
@Injectable()
export class RefreshTokensService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /** Whose refresh token this is; undefined when it is unknown, ended, or bound to a key. */
  async find(token: string): Promise<RefreshClient | undefined> {
    const id = hashOf(token);
    const [row] = await this.db.query<Row[]>(`${CLIENT} AND t.id = $2 AND NOT t.payload ? 'jkt'`, [
      this.clock.now(),
      id,
    ]);
    return row && toClient(row);
  }

  /** The clients of an account that keep a refresh token, the newest first. */
  async listOf(uid: string): Promise<RefreshClient[]> {
    const rows = await this.db.query<Row[]>(
      `${CLIENT} AND t.payload->>'accountId' = $2 ORDER BY g.payload->>'iat' DESC, g.id`,
      [this.clock.now(), uid],
    );
    const byGrant = new Map(rows.map((row) => [row.grantId, toClient(row)]));
    return [...byGrant.values()];
  }

  /**
   * Ends a client of an account: its grant, every token under it, and the session that it brought
   * along.
   *
   * @returns whether there was one
   */
  async end(uid: string, grantId: string): Promise<boolean> {
    const [row] = await retried(() =>
      this.db.query<[{ ended: boolean }]>(
        `WITH gone AS (
           DELETE FROM oidc WHERE grant_key = $1 AND payload->>'accountId' = $2
           RETURNING session_id, owns_session),
         signed_out AS (
           DELETE FROM session USING gone
            WHERE session.id = gone.session_id AND gone.owns_session)
         SELECT EXISTS (SELECT FROM gone) AS ended`,
        [grantId, uid],
      ),
    );
    return row.ended;
  }
}

interface Row extends Omit<RefreshClient, 'scopes'> {
  scope: string | null;
}

const toClient = ({ scope, ...client }: Row): RefreshClient => ({
  ...client,
  scopes: scopesIn(scope ?? '').filter((name) => name !== 'offline_access'),
});
