import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { JWKS } from 'oidc-provider';
import type Provider from 'oidc-provider';
import { DataSource, QueryFailedError } from 'typeorm';
import { Failure } from '#lib/protocol';
import { AccountsService } from '../accounts/accounts.service.ts';
import type { Session } from '../accounts/session.guard.ts';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { Config } from '../platform/config.ts';
import { asFailure } from '../platform/failure.filter.ts';
import { problem } from '../platform/problem.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { ClientsService } from './clients.service.ts';
import { ConsentsService } from './consents.service.ts';
import { DeviceCodesService } from './device-codes.service.ts';
import { oauthError } from './oauth-error.ts';
import { adapters } from './oidc.adapter.ts';
import { makeProvider } from './provider.ts';
import { audiencesOf } from './resources.ts';
import { publicKeys } from './signing-keys.ts';
import { hashOf } from './token-hash.ts';

/** For who signed out while a request was under way. */
export const sessionEnded = () => new Failure('unauthenticated', 'The session has ended.');

const nothingHere = new Failure('not-found', 'There is nothing at this address.');

/** An hour. */
const PURGE_MS = 3_600_000;

/** Holds the provider, its keys, and the grants that accounts give to apps. */
@Injectable()
export class AuthorityService implements OnModuleDestroy {
  private readonly logger = new Logger('oauth');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'purge-failed', error: String(error) });
    },
  );
  private keys: readonly object[] = [];
  private made?: { provider: Provider; handle: ReturnType<Provider['callback']> };

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clients: ClientsService,
    private readonly consents: ConsentsService,
    private readonly deviceCodes: DeviceCodesService,
    private readonly accounts: AccountsService,
    private readonly settings: SettingsService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** Makes, at the first boot, the keys and the built-in apps; at every boot, the provider. */
  async start(): Promise<void> {
    await this.clients.seed();
    const jwks = JSON.parse(await this.settings.getOrMake('oidc-jwks', makeJwks)) as JWKS;
    this.keys = publicKeys(jwks).keys;
    const cookieKey = await this.settings.getOrMake('oidc-cookie-key', () =>
      randomBytes(32).toString('base64url'),
    );
    const provider = makeProvider({
      issuer: this.config.publicUrl.origin,
      adapterOf: adapters(this.db, this.clock, this.clients),
      jwks,
      clock: this.clock,
      cookieKeys: [cookieKey],
      profile: (uid) => this.accounts.profile(uid),
      takeKeys: (grantId) => this.takeKeys(grantId),
      mayPoll: (deviceCode) => this.deviceCodes.mayPoll(deviceCode),
      noteUse: (uid, clientId) => this.consents.noteUse(uid, clientId),
    });
    const failures = new WeakMap<object, Failure>();
    provider.on('server_error', (ctx, error) => {
      const failure = asFailure(error);
      if (failure) failures.set(ctx, failure);
      else this.logger.error({ event: 'crash', error: error.stack });
    });
    provider.use(async (ctx, next) => {
      await next();
      // Phones ask for their profile here, and get a new token when they read FxA's number.
      if (ctx.path === '/oauth2/userinfo' && ctx.status === 401) {
        ctx.body = { ...(ctx.body as object), code: 401, errno: 110 };
      }
      // What its router does not know it leaves unanswered; an error of the database it calls its own.
      const unknown = ctx.status === 404 && !ctx.body ? nothingHere : undefined;
      const failure = failures.get(ctx) ?? unknown;
      if (!failure) return;
      const format = ctx.path.startsWith('/oauth2/') ? oauthError : problem;
      const { status, contentType, body, headers } = format(failure);
      ctx.status = status;
      ctx.body = JSON.stringify(body);
      ctx.set({ ...headers, ...failure.options.headers, 'content-type': contentType });
    });
    this.made = { provider, handle: provider.callback() };
    await this.purge();
    this.job.start(PURGE_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** Removes what expired: every browser, code and token leaves a row behind. */
  async purge(): Promise<void> {
    await this.db.query(`DELETE FROM oidc WHERE expires_at <= $1`, [this.clock.now()]);
  }

  get provider(): Provider {
    if (!this.made) throw new Error('the authority was not started');
    return this.made.provider;
  }

  /** The keys that sign, without their private members, as JWKs. */
  get publicKeys(): readonly object[] {
    return this.keys;
  }

  /** Answers a request of the standard endpoints, from the raw stream. */
  handle(request: IncomingMessage, reply: ServerResponse): void {
    const { host, protocol } = this.config.publicUrl;
    // Discovery and every address in an answer are built from these: never from the caller's.
    request.headers.host = host;
    request.headers['x-forwarded-proto'] = protocol.slice(0, -1);
    delete request.headers['x-forwarded-host'];
    void this.made?.handle(request, reply);
  }

  /**
   * Records that an account lets an app do something. A fresh grant each time: one connected app.
   * It ends with the session, by the foreign key.
   *
   * @param scope - separated by spaces
   * @param audiences - without them, those that the scopes belong to
   * @param seconds - how long it lasts; without it, as long as refresh tokens
   * @param ownsSession - whether the session was made for it, and ends with it
   * @returns the grant's id
   * @throws Failure `unauthenticated` when the session ended meanwhile
   */
  async grant(
    session: Session,
    asked: {
      clientId: string;
      scope: string;
      audiences?: string[];
      keysJwe?: string | undefined;
      seconds?: number;
      ownsSession?: boolean | undefined;
    },
  ): Promise<string> {
    const { clientId, scope } = asked;
    const grant = new this.provider.Grant({ accountId: session.uid, clientId });
    grant.addOIDCScope(scope);
    for (const audience of asked.audiences ?? audiencesOf(scope.split(' '))) {
      grant.addResourceScope(audience, scope);
    }
    const id = await grant.save();
    const until = asked.seconds && new Date(this.clock.now().getTime() + asked.seconds * 1000);
    try {
      await this.db.query(
        `UPDATE oidc SET session_id = $2, keys_jwe = $3, expires_at = coalesce($4, expires_at),
                owns_session = $5
          WHERE model = 'Grant' AND id = $1`,
        [id, session.id, asked.keysJwe ?? null, until, asked.ownsSession ?? false],
      );
    } catch (error) {
      if (!isWithoutSession(error)) throw error;
      await grant.destroy(); // without its session nothing would end it
      throw sessionEnded();
    }
    return id;
  }

  /** Ends a grant that nothing was issued under yet. */
  async endGrant(id: string): Promise<void> {
    await (await this.provider.Grant.find(id))?.destroy();
  }

  /**
   * Ends an access token alone, or a refresh token with its grant and all that was issued under it
   * (RFC 7009 §2.1), unless another refresh token lives by the same grant. A session that the grant
   * brought along ends, too, when no other grant is used in it.
   */
  async endToken(value: string): Promise<void> {
    const { AccessToken } = this.provider;
    const access = await AccessToken.find(value);
    if (access) {
      await access.destroy();
      return;
    }
    await this.db.transaction(async (tx) => {
      const [rows] = await tx.query<[{ grantId: string }[], number]>(
        `DELETE FROM oidc WHERE model = 'RefreshToken' AND id = $1 RETURNING grant_id AS "grantId"`,
        [hashOf(value)],
      );
      const grantId = rows[0]?.grantId;
      if (grantId === undefined) return;
      await tx.query(
        `WITH gone AS (
           DELETE FROM oidc WHERE grant_key = $1 AND NOT EXISTS (
             SELECT FROM oidc t WHERE t.grant_id = $1 AND t.model = 'RefreshToken')
           RETURNING session_id, owns_session)
         DELETE FROM session USING gone
          WHERE session.id = gone.session_id AND gone.owns_session AND NOT EXISTS (
            SELECT FROM oidc o WHERE o.session_id = session.id AND o.grant_key <> $1)`,
        [grantId],
      );
    });
  }

  /**
   * Makes a grant end with another session than it did.
   *
   * @throws Failure `unauthenticated` when that session ended meanwhile
   */
  async moveGrant(grantId: string, sessionId: string): Promise<void> {
    try {
      await this.db.query(`UPDATE oidc SET session_id = $2 WHERE model = 'Grant' AND id = $1`, [
        grantId,
        sessionId,
      ]);
    } catch (error) {
      throw isWithoutSession(error) ? sessionEnded() : error;
    }
  }

  /** Whether a code of this value was given and not yet forgotten, good or not. */
  async isKnownCode(value: string): Promise<boolean> {
    const rows = await this.db.query<unknown[]>(
      `SELECT FROM oidc WHERE model = 'AuthorizationCode' AND id = $1`,
      [hashOf(value)],
    );
    return rows.length > 0;
  }

  /**
   * Signs a browser out. Its cookie is known to it alone, so it goes by the session's other name.
   *
   * @param uid - of the provider's session, not of an account
   */
  async forgetBrowser(uid: string): Promise<void> {
    await this.db.query(`DELETE FROM oidc WHERE model = 'Session' AND uid = $1`, [uid]);
  }

  /** Takes the sealed keys that wait beside a grant: one statement hands them out and forgets them. */
  async takeKeys(grantId: string): Promise<string | undefined> {
    const [rows] = await this.db.query<[{ keys_jwe: string }[], number]>(
      `UPDATE oidc SET keys_jwe = NULL
         FROM (SELECT id, keys_jwe FROM oidc
                WHERE model = 'Grant' AND id = $1 AND keys_jwe IS NOT NULL FOR UPDATE) AS taken
        WHERE oidc.model = 'Grant' AND oidc.id = taken.id RETURNING taken.keys_jwe`,
      [grantId],
    );
    return rows[0]?.keys_jwe;
  }
}

/** Whether a foreign key refused a row, because the session that it names is gone. */
const isWithoutSession = (error: unknown) =>
  error instanceof QueryFailedError && (error.driverError as { code?: string }).code === '23503';

/** One ES256 key; a later one is put before it, and both are published. */
function makeJwks(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' };
  return JSON.stringify({ keys: [{ ...key, kid: randomBytes(9).toString('base64url') }] });
}
