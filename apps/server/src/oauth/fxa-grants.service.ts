import { createHash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { Client } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { deriveToken, fromHex, toHex } from '#lib/crypto';
import {
  type AskFxaCode,
  Failure,
  type FxaCode,
  type FxaCodeGrant,
  type FxaExchangeGrant,
  type FxaRefreshGrant,
  type FxaSessionGrant,
  type FxaToken,
  NEW_SESSION,
  scopesImply,
  scopesIn,
} from '#lib/protocol';
import { idOf } from '../accounts/hawk.service.ts';
import type { Session } from '../accounts/session.guard.ts';
import type { Proofs } from '../accounts/proofs.guard.ts';
import { PROOFS, SessionsService } from '../accounts/sessions.service.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { AuthorityService, sessionEnded } from './authority.service.ts';
import { ClientsService } from './clients.service.ts';
import { errors } from './oidc-provider.ts';
import { ACCESS_TOKEN_SECONDS, audiencesOf, resourceServer } from './resources.ts';
import { hashOf } from './token-hash.ts';

/** A grant that ends with what was issued at once: the code's ten minutes, and a token's day. */
const ONLINE_SECONDS = 600 + 86_400;

/** Refresh tokens of browsers live for a year after their last use, and their grants longer. */
const REFRESH_SECONDS = 365 * 86_400;
const GRANT_SECONDS = 400 * 86_400;

/** What a token is made of. */
interface Issue {
  client: Client;
  uid: string;
  grantId: string;
  gty: string;
  scopes: string[];
  authAt: number;
  acr: string | undefined;
  amr: string[] | undefined;
  ttl?: number | undefined;
}

/**
 * Gives codes and tokens to browsers, as Firefox Accounts does: docs/protocol/oauth.md.
 *
 * The codes, tokens and grants are those of the one authority; what is different is who asks and
 * how it is spelled. Apps of others get theirs by the standard endpoints alone, where the account
 * consents and refresh tokens rotate.
 */
@Injectable()
export class FxaGrantsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly authority: AuthorityService,
    private readonly clients: ClientsService,
    private readonly sessions: SessionsService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Gives a code to whoever holds the session.
   *
   * @throws Failure `unknown-client`, `invalid-scopes`, `incorrect-redirect`,
   *   `invalid-response-type`, `missing-pkce`, `insufficient-acr`
   */
  async authorize(session: Session, asked: AskFxaCode): Promise<FxaCode> {
    const client = await this.browser(asked.client_id);
    if ((asked.response_type ?? 'code') !== 'code') {
      throw new Failure('invalid-response-type', 'There are codes alone.');
    }
    const redirectUri = this.redirectUri(client, asked.redirect_uri);
    if (asked.code_challenge === undefined || asked.code_challenge_method === undefined) {
      throw new Failure('missing-pkce', 'A code needs PKCE, with the method S256.');
    }
    if (scopesIn(asked.acr_values ?? '').includes('AAL2') && session.acr !== 'AAL2') {
      throw new Failure('insufficient-acr', 'The session has one factor.', {
        extra: { foundValue: session.acr },
      });
    }
    const scopes = this.expectAllowed(client, asked.scope);
    const isOffline = asked.access_type === 'offline';
    const scope = [...scopes, ...(isOffline ? ['offline_access'] : [])].join(' ');
    const grantId = await this.authority.grant(session, {
      clientId: client.clientId,
      scope,
      keysJwe: asked.keys_jwe,
      ...(!isOffline && { seconds: ONLINE_SECONDS }),
    });
    const { AuthorizationCode } = this.authority.provider;
    const code = await save(
      new AuthorizationCode({
        ...{ gty: 'authorization_code', accountId: session.uid, client, grantId, redirectUri },
        ...{ scope, codeChallenge: asked.code_challenge, codeChallengeMethod: 'S256' },
        ...{ authTime: session.authAt, acr: session.acr, amr: session.amr },
      }),
    );
    const redirect = new URL(redirectUri);
    redirect.searchParams.set('code', code);
    redirect.searchParams.set('state', asked.state);
    return { redirect: redirect.href, code, state: asked.state };
  }

  /**
   * Exchanges a code, once. Whoever proves to have asked for it a second time ends all that the
   * first exchange gave.
   *
   * @param session - of who redeems, when there is one: the grant lives by it from then on
   * @throws Failure `unknown-client`, `unknown-code`, `expired-code`, `incorrect-code`,
   *   `incorrect-redirect`, `invalid-pkce-challenge`, `unauthenticated` when the session ended
   */
  async redeem(asked: FxaCodeGrant, session: Session | undefined): Promise<FxaToken> {
    const client = await this.browser(asked.client_id);
    const code = await this.authority.provider.AuthorizationCode.find(asked.code);
    const { accountId: uid, grantId } = code ?? {};
    if (!code || uid === undefined || grantId === undefined) {
      throw (await this.authority.isKnownCode(asked.code))
        ? new Failure('expired-code', 'The code has expired.')
        : unknownCode();
    }
    if (code.clientId !== client.clientId || (session && session.uid !== uid)) {
      throw new Failure('incorrect-code', 'The code is for somebody else.');
    }
    if (asked.redirect_uri !== undefined && asked.redirect_uri !== code.redirectUri) {
      throw incorrectRedirect(asked.redirect_uri);
    }
    const challenge = createHash('sha256').update(asked.code_verifier).digest('base64url');
    if (!isSame(challenge, code.codeChallenge ?? '')) {
      throw new Failure('invalid-pkce-challenge', 'The verifier does not fit the code.');
    }
    try {
      await code.consume();
    } catch (error) {
      throw error instanceof errors.InvalidGrant ? unknownCode() : error;
    }
    const scopes = scopesIn(code.scope ?? '');
    const sessionToken = scopes.includes(NEW_SESSION)
      ? await this.bringSession(uid, grantId)
      : undefined;
    if (sessionToken === undefined && session) await this.authority.moveGrant(grantId, session.id);
    const issue = {
      ...{ client, uid, grantId, gty: 'authorization_code', scopes, ttl: asked.ttl },
      ...{ authAt: code.authTime ?? 0, acr: code.acr, amr: code.amr },
    };
    const token = await this.issue(issue);
    const isOffline = scopes.includes('offline_access');
    const keys = await this.authority.takeKeys(grantId);
    return {
      ...token,
      ...(isOffline && { refresh_token: await this.issueRefresh(issue) }),
      ...(keys !== undefined && { keys_jwe: keys }),
      ...(sessionToken !== undefined && { session_token: sessionToken }),
    };
  }

  /**
   * Gives an access token for a refresh token, which stays as it is: a browser that lost the answer
   * of a rotation would be signed out.
   *
   * @throws Failure `unknown-client`, `invalid-scopes`, `invalid-token`
   */
  async refresh(asked: FxaRefreshGrant): Promise<FxaToken> {
    const client = await this.browser(asked.client_id);
    const found = await this.refreshToken(client, asked.refresh_token);
    // A session is brought along once.
    const held = found.scopes.filter((scope) => scope !== NEW_SESSION && scope !== 'openid');
    const scopes = asked.scope === undefined ? held : scopesIn(asked.scope);
    expectImplied(held, scopes);
    await this.noteUse(asked.refresh_token, found.grantId);
    return this.issue({ ...found, client, scopes, gty: 'refresh_token', ttl: asked.ttl });
  }

  /**
   * Gives a token to whoever holds the session.
   *
   * @throws Failure `unknown-client`, `invalid-scopes`, `unauthenticated`
   */
  async fromSession(session: Session, asked: FxaSessionGrant): Promise<FxaToken> {
    const client = await this.browser(asked.client_id);
    const scopes = this.expectAllowed(client, asked.scope);
    const isOffline = asked.access_type === 'offline';
    const granted = isOffline ? [...scopes, 'offline_access'] : scopes;
    const grantId = await this.authority.grant(session, {
      clientId: client.clientId,
      scope: granted.join(' '),
      // Firefox asks every few hours: a grant that outlived its one token would be kept for a year.
      ...(!isOffline && { seconds: asked.ttl ?? ACCESS_TOKEN_SECONDS }),
    });
    const issue = {
      ...{ client, uid: session.uid, grantId, gty: 'fxa-credentials', scopes: granted },
      ...{ authAt: session.authAt, acr: session.acr, amr: session.amr, ttl: asked.ttl },
    };
    const token = await this.issue(issue);
    if (!isOffline) return token;
    // A phone changes its grant so, and then ends the one that brought this session along.
    await this.db.query(
      `UPDATE oidc SET owns_session = true WHERE model = 'Grant' AND id = $1
          AND EXISTS (SELECT FROM oidc WHERE session_id = $2 AND owns_session)`,
      [grantId, session.id],
    );
    return { ...token, refresh_token: await this.issueRefresh(issue) };
  }

  /**
   * Gives a refresh token with more scopes for one with less. The old one stays until its holder
   * ends it. What opens data, or makes a session, needs the account's page.
   *
   * @throws Failure `unknown-client`, `invalid-scopes`, `invalid-token`
   */
  async exchange(asked: FxaExchangeGrant): Promise<FxaToken> {
    const client = await this.browser(asked.client_id);
    const found = await this.refreshToken(client, asked.subject_token);
    const more = this.expectAllowed(client, asked.scope);
    const needPage = more.filter(
      (scope) => scope.startsWith('https:') && !scopesImply(found.scopes, scope),
    );
    if (needPage.length > 0) throw invalidScopes(needPage);
    const held = found.scopes.filter((scope) => scope !== NEW_SESSION);
    const scopes = [...new Set([...held, ...more, 'offline_access'])];
    await this.widen(found.grantId, scopes);
    const issue = { ...found, client, scopes, gty: 'token-exchange', ttl: asked.ttl };
    const token = await this.issue(issue);
    return { ...token, refresh_token: await this.issueRefresh(issue) };
  }

  private async issue({ client, uid, grantId, gty, ...rest }: Issue): Promise<FxaToken> {
    const scopes = rest.scopes.filter((scope) => scope !== 'offline_access');
    const [audience, ...others] = audiencesOf(scopes);
    if (others.length > 0) throw invalidScopes(scopes);
    const { provider } = this.authority;
    const expiresIn = rest.ttl ?? ACCESS_TOKEN_SECONDS;
    const scope = scopes.join(' ');
    const made = { accountId: uid, client, grantId, gty, scope, expiresIn };
    const token = Object.assign(new provider.AccessToken(made), { authTime: rest.authAt });
    const info = audience === undefined ? undefined : resourceServer(audience, expiresIn);
    if (info?.audience) token.resourceServer = new provider.ResourceServer(info.audience, info);
    return {
      access_token: await save(token),
      token_type: 'bearer',
      scope,
      expires_in: expiresIn,
      auth_at: rest.authAt,
    };
  }

  private issueRefresh(issue: Issue): Promise<string> {
    const { client, uid, grantId, gty, scopes, authAt, acr, amr } = issue;
    const { RefreshToken } = this.authority.provider;
    return save(
      new RefreshToken({
        ...{ accountId: uid, client, grantId, gty, scope: scopes.join(' '), authTime: authAt },
        ...{ acr, amr, rotations: 0 },
      }),
    );
  }

  private async refreshToken(client: Client, value: string) {
    const token = await this.authority.provider.RefreshToken.find(value);
    const { accountId: uid, grantId } = token ?? {};
    if (!token || uid === undefined || grantId === undefined || token.consumed !== undefined) {
      throw unknownToken();
    }
    // A bound one needs a proof, which these calls have no place for.
    if (token.clientId !== client.clientId || token.jkt !== undefined) throw unknownToken();
    const { acr, amr, authTime: authAt = 0 } = token;
    return { uid, grantId, scopes: scopesIn(token.scope ?? ''), authAt, acr, amr };
  }

  /** Changes the row and never makes one: a grant that was revoked meanwhile stays revoked. */
  private async widen(grantId: string, scopes: string[]): Promise<void> {
    const [rows] = await this.db.query<[unknown[], number]>(
      `UPDATE oidc SET payload = jsonb_set(payload, '{openid,scope}', to_jsonb($2::text))
        WHERE model = 'Grant' AND id = $1 RETURNING id`,
      [grantId, scopes.join(' ')],
    );
    if (rows.length === 0) throw unknownToken();
  }

  /** Keeps a refresh token that is used alive, with its grant and the session it brought along. */
  private async noteUse(value: string, grantId: string): Promise<void> {
    const now = this.clock.now();
    const until = (seconds: number) => new Date(now.getTime() + seconds * 1000);
    await this.db.query(
      `UPDATE oidc SET used_at = $2, expires_at = $3,
              payload = jsonb_set(payload, '{exp}', to_jsonb($4::bigint))
        WHERE model = 'RefreshToken' AND id = $1`,
      [hashOf(value), now, until(REFRESH_SECONDS), this.clock.seconds() + REFRESH_SECONDS],
    );
    await this.db.query(
      `UPDATE oidc SET expires_at = $2, payload = jsonb_set(payload, '{exp}', to_jsonb($3::bigint))
        WHERE model = 'Grant' AND id = $1`,
      [grantId, until(GRANT_SECONDS), this.clock.seconds() + GRANT_SECONDS],
    );
    await this.db.query(
      `UPDATE session s SET used_at = $2 FROM oidc g
        WHERE g.model = 'Grant' AND g.id = $1 AND g.owns_session AND s.id = g.session_id`,
      [grantId, now],
    );
  }

  /** Signs the redeemer in by itself, so that it stays when the browser it was approved in leaves. */
  private bringSession(uid: string, grantId: string): Promise<string> {
    return this.db.transaction(async (tx) => {
      // A change of the password waits for this, and then ends both: it locks in the same order, the
      // account first. The new one is no fresher.
      const [found] = await tx.query<Proofs[]>(
        `SELECT ${PROOFS}
           FROM oidc g JOIN session s ON s.id = g.session_id JOIN account a ON a.uid = s.uid
          WHERE g.model = 'Grant' AND g.id = $1 FOR SHARE OF a, s`,
        [grantId],
      );
      if (!found) throw sessionEnded();
      const { sessionToken } = await this.sessions.start(tx, uid, found);
      const [rows] = await tx.query<[unknown[], number]>(
        `UPDATE oidc SET session_id = $2, owns_session = true
          WHERE model = 'Grant' AND id = $1 RETURNING id`,
        [grantId, idOf(toHex(deriveToken(fromHex(sessionToken), 'sessionToken').id))],
      );
      if (rows.length === 0) throw sessionEnded();
      return sessionToken;
    });
  }

  private async browser(clientId: string): Promise<Client> {
    const metadata = await this.clients.find(clientId);
    const client = metadata && (await this.authority.provider.Client.find(clientId));
    if (!client) {
      throw new Failure('unknown-client', 'There is no such app.', { extra: { clientId } });
    }
    if (!metadata.trusted) {
      throw new Failure('invalid-parameter', 'This app gets its tokens at /oauth2.');
    }
    return client;
  }

  /** The one that is registered, or this server's page for browsers that wait for an address. */
  private redirectUri(client: Client, asked: string | undefined): string {
    const [first = '', ...others] = client.redirectUris ?? [];
    const known = [first, ...others, this.config.at(`/oauth/success/${client.clientId}`), PAIRING];
    if (asked !== undefined && !known.includes(asked)) throw incorrectRedirect(asked);
    return asked ?? first;
  }

  private expectAllowed({ scope = '' }: Client, list: string): string[] {
    const scopes = scopesIn(list).filter((name) => name !== 'offline_access');
    expectImplied(scopesIn(scope), scopes);
    return scopes;
  }
}

/** Where the page of a Firefox that pairs another device is sent. */
const PAIRING = 'urn:ietf:wg:oauth:2.0:oob:pair-auth-webchannel';

/** A grant that went away meanwhile went with its session. */
async function save(token: { save(): Promise<string> }): Promise<string> {
  try {
    return await token.save();
  } catch (error) {
    throw error instanceof errors.InvalidGrant ? sessionEnded() : error;
  }
}

function expectImplied(held: string[], scopes: string[]): void {
  const invalid = scopes.filter((scope) => !scopesImply(held, scope));
  if (invalid.length > 0 || scopes.length === 0) throw invalidScopes(invalid);
}

const isSame = (a: string, b: string) =>
  a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

const invalidScopes = (scopes: string[]) =>
  new Failure('invalid-scopes', 'The app may not have these scopes in one token.', {
    extra: { invalidScopes: scopes },
  });

const incorrectRedirect = (redirectUri: string) =>
  new Failure('incorrect-redirect', 'The app may not be sent there.', { extra: { redirectUri } });

const unknownCode = () => new Failure('unknown-code', 'The code is unknown or was used.');

const unknownToken = () =>
  new Failure('invalid-token', 'The refresh token is unknown, expired or revoked.');
