import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure, type IntrospectedToken, scopesIn, type VerifiedToken } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { hashOf, isOpaque } from './token-hash.ts';

interface Row {
  id: string;
  model: 'AccessToken' | 'RefreshToken';
  payload: {
    accountId: string;
    clientId: string;
    scope?: string;
    iat: number;
    jkt?: string;
    extra?: { 'fxa-generation'?: number };
  };
  expiresAt: Date;
  usedAt: Date | null;
  profileChangedAt: Date | null;
}

/** Says, to whoever holds a token, what it is: the way of Firefox Accounts' resource servers. */
@Injectable()
export class TokenFactsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /** @throws Failure `invalid-token` */
  async verify(token: string): Promise<VerifiedToken> {
    const row = await this.find(token);
    // Who asks here takes the token for all there is to show: a bound one needs a proof as well.
    if (row?.model !== 'AccessToken' || row.payload.jkt !== undefined) {
      throw new Failure('invalid-token', 'The token is unknown, expired or revoked.');
    }
    const { accountId, clientId, extra } = row.payload;
    const generation = extra?.['fxa-generation'];
    return {
      user: accountId,
      client_id: clientId,
      scope: scopesOf(row),
      ...(generation !== undefined && { generation }),
      ...(row.profileChangedAt && { profile_changed_at: row.profileChangedAt.getTime() }),
    };
  }

  async introspect(token: string): Promise<IntrospectedToken> {
    const row = await this.find(token);
    if (!row) return { active: false };
    return {
      active: true,
      scope: scopesOf(row).join(' '),
      client_id: row.payload.clientId,
      token_type: row.model === 'AccessToken' ? 'access_token' : 'refresh_token',
      iat: row.payload.iat * 1000,
      exp: row.expiresAt.getTime(),
      sub: row.payload.accountId,
      jti: row.id,
      ...(row.usedAt && { 'fxa-lastUsedAt': row.usedAt.getTime() }),
    };
  }

  private async find(token: string): Promise<Row | undefined> {
    if (!isOpaque(token)) return undefined;
    const [row] = await this.db.query<Row[]>(
      `SELECT t.id, t.model, t.payload, t.expires_at AS "expiresAt", t.used_at AS "usedAt",
              p.changed_at AS "profileChangedAt"
         FROM oidc t LEFT JOIN profile p ON p.uid = t.payload->>'accountId'
        WHERE t.model IN ('AccessToken', 'RefreshToken') AND t.id = $1
          AND t.grant_id IS NOT NULL AND t.consumed IS NULL AND t.expires_at > $2`,
      [hashOf(token), this.clock.now()],
    );
    return row;
  }
}

const scopesOf = ({ payload }: Row) =>
  scopesIn(payload.scope ?? '').filter((scope) => scope !== 'offline_access');
