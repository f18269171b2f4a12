import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { RawBodyRequest } from '@nestjs/common';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import { DataSource } from 'typeorm';
import { hawkPayloadString, hawkString, parseHawkHeader, type HawkHeader } from '#lib/crypto';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';

/** A row that is found by a token's id and holds the key that signs requests. */
interface Credentials {
  reqHmacKey: Buffer;
  /** Whether the nonce was new, where the lookup wrote it down: {@link remembering}. */
  isFresh?: boolean;
}

/** What tells a signed request from a replay of it. */
export interface Nonce {
  /** SHA-256 of token id and nonce. */
  id: Buffer;
  /** When its time is good no more, and what time it is; seconds since 1970. */
  expiresAt: number;
  now: number;
}

/**
 * Writes a nonce down ($1 id, $2 end, $3 now); a row comes back when it is new. In the database that
 * all processes share, one statement refuses whoever makes a request again.
 *
 * @param source - `VALUES` or a `SELECT` of $1 and $2
 */
export const remembering = (source: string): string => `
  INSERT INTO hawk_nonce AS n (id, expires_at) ${source}
  ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at WHERE n.expires_at < $3
  RETURNING 1`;
const REMEMBER = remembering('VALUES ($1, $2)');

/** Of a typed bearer: session, keyFetch, accountReset, passwordForgot, passwordChange. */
export type BearerPrefix = 'fxs' | 'fxk' | 'fxar' | 'fxpf' | 'fxpc';

/**
 * Authenticates a request by an FxA token: Hawk, fully verified, or `Bearer <prefix>_<token id>`.
 *
 * Firefox signs with Hawk; mobile clients, the command line and pages send the id itself.
 */
@Injectable()
export class HawkService {
  /** When this process last forgot old nonces, in seconds since 1970. */
  private prunedAt = 0;

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  /**
   * @param prefix - the typed bearer's; a bearer of another kind is refused
   * @param find - looks the row up by the base64url SHA-256 of the token id; it may write the nonce of
   *   a signed request down in the same statement, for a row that it finds. Whoever knows the token id
   *   could do as much without a signature.
   * @throws Failure `unauthenticated`, `signature-required` (a MAC or payload hash that does not
   *   fit), `clock-skew` with `serverTime`, `replayed`
   */
  async authenticate<Row extends Credentials>(
    request: RawBodyRequest<FastifyRequest>,
    prefix: BearerPrefix,
    find: (id: string, nonce?: Nonce) => Promise<Row | undefined>,
  ): Promise<Row> {
    const header = request.headers.authorization ?? '';
    const bearer = new RegExp(`^Bearer ${prefix}_([0-9a-f]{64})$`, 'i').exec(header)?.[1];
    if (bearer !== undefined) return this.found(await find(idOf(bearer)));

    const hawk = parseHawkHeader(header);
    if (!hawk || !/^[0-9a-f]{64}$/.test(hawk.id)) {
      throw new Failure('unauthenticated', 'A token of this account is needed.');
    }
    const nonce = await this.nonceOf(hawk);
    const isTimely = Math.abs(hawk.ts - nonce.now) <= this.config.limits.hawkSkewSeconds;
    const row = this.found(await find(idOf(hawk.id), isTimely ? nonce : undefined));
    this.verify(request, hawk, row.reqHmacKey);
    if (!(row.isFresh ?? (await this.remember(nonce)))) {
      throw new Failure('replayed', 'This signed request was already made.');
    }
    return row;
  }

  private found<Row>(row: Row | undefined): Row {
    if (!row) throw new Failure('unauthenticated', 'The token is unknown or has ended.');
    return row;
  }

  private verify(request: RawBodyRequest<FastifyRequest>, hawk: HawkHeader, key: Buffer): void {
    const { publicUrl } = this.config;
    const artifacts = {
      ...hawk,
      method: request.method,
      path: request.raw.url ?? '/',
      // From the configuration, never from Host: behind a proxy the two differ.
      host: publicUrl.hostname,
      port: Number(publicUrl.port) || (publicUrl.protocol === 'https:' ? 443 : 80),
    };
    const mac = createHmac('sha256', key).update(hawkString('header', artifacts)).digest();
    if (!isSame(hawk.mac, mac)) throw new Failure('signature-required', 'The MAC does not fit.');

    const now = this.clock.seconds();
    const skew = this.config.limits.hawkSkewSeconds;
    if (Math.abs(hawk.ts - now) > skew) {
      throw new Failure('clock-skew', `The request was signed more than ${skew} s from now.`, {
        extra: { serverTime: now },
      });
    }
    if (hawk.hash !== undefined) {
      const payload = hawkPayloadString(
        request.headers['content-type'] ?? '',
        request.rawBody ?? Buffer.alloc(0),
      );
      if (!isSame(hawk.hash, createHash('sha256').update(payload).digest())) {
        throw new Failure('signature-required', 'The payload hash does not fit.');
      }
    }
  }

  private async remember({ id, expiresAt, now }: Nonce): Promise<boolean> {
    return (await this.db.query<unknown[]>(REMEMBER, [id, expiresAt, now])).length > 0;
  }

  private async nonceOf(hawk: HawkHeader): Promise<Nonce> {
    const now = this.clock.seconds();
    const skew = this.config.limits.hawkSkewSeconds;
    if (now - this.prunedAt > skew) {
      this.prunedAt = now;
      await this.db.query(`DELETE FROM hawk_nonce WHERE expires_at < $1`, [now]);
    }
    const id = createHash('sha256').update(`${hawk.id} ${hawk.nonce}`).digest();
    return { id, expiresAt: hawk.ts + skew, now };
  }
}

/** What stands in the tables for a token: base64url SHA-256 of its id, given in hex. */
export const idOf = (tokenId: string): string =>
  createHash('sha256').update(Buffer.from(tokenId, 'hex')).digest('base64url');

function isSame(base64: string, expected: Buffer): boolean {
  const given = Buffer.from(base64, 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
