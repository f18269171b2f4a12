import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Injectable, Logger, type OnModuleDestroy } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type Provider from 'oidc-provider';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { Failure } from '#lib/protocol';
import { AccountsService } from '../accounts/accounts.service.ts';
import type { Session } from '../accounts/session.guard.ts';
import { Clock } from '../platform/clock.ts';
import { retried } from '../platform/deadlock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { Config } from '../platform/config.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { ClientsService } from './clients.service.ts';
import { AppUsesService } from './app-uses.service.ts';
import { DeviceCodesService } from './device-codes.service.ts';
import { fetchOutside } from './fetch-outside.ts';
import { adapters } from './oidc.adapter.ts';
import { answerFailures } from './provider-failures.ts';
import { makeProvider } from './provider.ts';
import { audiencesOf } from './resources.ts';
import { SigningKeysService } from './signing-keys.service.ts';
import { publicKeys } from './signing-keys.ts';
import { hashOf, isOpaque } from './token-hash.ts';

/** For who signed out while a request was under way. */
export const sessionEnded = () => new Failure('unauthenticated', 'The session has ended.');

/** An hour. */
const PURGE_MS = 3_600_000;

/** Another process may have changed the keys. */
const FOLLOW_MS = 1000;

/** Holds the provider, its keys, and the grants that accounts give to apps. */
@Injectable()
export class AuthorityService implements OnModuleDestroy {
  private readonly logger = new Logger('oauth');
  private readonly purging = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'purge-failed', error: String(error) });
    },
  );
  private readonly following = new RepeatedJob(
    () => this.followKeys(),
    // Without the database nobody gets a token, and others say that it is away.
    () => undefined,
  );
  private cookieKeys: string[] = [];
  private keys: readonly object[] = [];
  private made?: { provider: Provider; handle: ReturnType<Provider['callback']> };

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clients: ClientsService,
    private readonly uses: AppUsesService,
    private readonly deviceCodes: DeviceCodesService,
    private readonly accounts: AccountsService,
    private readonly settings: SettingsService,
    private readonly signingKeys: SigningKeysService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** Makes, at the first boot, the keys and the built-in apps; at every boot, the provider. */
  async start(): Promise<void> {
    await this.clients.seed();
    const cookieKey = await this.settings.getOrMake('oidc-cookie-key', () =>
      randomBytes(32).toString('base64url'),
    );
    this.cookieKeys = [cookieKey];
    await this.followKeys();
    await this.purge();
    this.purging.start(PURGE_MS);
    this.following.start(FOLLOW_MS);
  }

  async onModuleDestroy(): Promise<void> {
    await this.following.stop();
    await this.purging.stop();
  }

  /**
   * Makes the provider anew when the keys are others: it reads them but once. Requests that it is
   * answering it answers to the end.
   */
  async followKeys(): Promise<void> {
    const jwks = await this.signingKeys.published();
    const { keys } = publicKeys(jwks);
    if (JSON.stringify(keys) === JSON.stringify(this.keys)) return;
    const provider = makeProvider({
      issuer: this.config.publicUrl.origin,
      adapterOf: adapters(this.db, this.clock, this.clients),
      jwks,
      clock: this.clock,
      cookieKeys: this.cookieKeys,
      fetch: (url, options) => fetchOutside(url, options, this.config.limits.appHostsAllowed),
      profile: (uid) => this.accounts.profile(uid),
      takeKeys: (grantId) => this.takeKeys(grantId),
      mayPoll: (deviceCode) => this.deviceCodes.mayPoll(deviceCode),
      noteUse: (uid, clientId) => {
        this.uses.note(uid, clientId);
      },
    });
    answerFailures(provider, this.logger);
    this.keys = keys;
    this.made = { provider, handle: provider.callback() };
  }

  /** Removes what expired: every browser, code and token leaves a row behind. */
  async purge(): Promise<void> {
    await this.db.query(`DELETE FROM oidc WHERE expires_at <= $1`, [this.clock.now()]);
    await this.signingKeys.purge();
  }

  get provider(): Provider {
    if (!this.made) throw new Error('the authority was not started');
    return this.made.provider;
  }

  /** The keys whose signatures count, without their private members; the first one signs. */
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
    if (!isOpaque(value)) return;
    const { AccessToken } = this.provider;
    const access = await AccessToken.find(value);
    if (access) {
      await access.destroy();
      return;
    }
    const end = async (tx: EntityManager): Promise<void> => {
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
    };
    await retried(() => this.db.transaction(end));
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
