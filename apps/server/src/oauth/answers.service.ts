import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { type AskedOfAccount, Failure, type FinishInteraction, scopesIn } from '#lib/protocol';
import { expectVerified, provenAt } from '../accounts/proofs.guard.ts';
import type { Session } from '../accounts/session.guard.ts';
import { retried } from '../platform/deadlock.ts';
import type { Visitor } from '../platform/visitor.ts';
import { type AppParams, type Given, type SignIn, text } from './app-params.ts';
import { AuthorityService } from './authority.service.ts';
import { ClientsService } from './clients.service.ts';
import { ConsentsService } from './consents.service.ts';
import { errors } from './oidc-provider.ts';

const KEYS_JWE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$/;

/** What an account is asked for an app, and what becomes of its answer, whichever way the app asks. */
@Injectable()
export class AnswersService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly authority: AuthorityService,
    private readonly clients: ClientsService,
    private readonly consents: ConsentsService,
  ) {}

  /**
   * What the page shows.
   *
   * @param uid - the request's own name
   * @param session - without one, nothing is told of what was granted before
   * @throws Failure `unknown-client`
   */
  async asked(
    uid: string,
    params: AppParams,
    session: Session | undefined,
  ): Promise<AskedOfAccount> {
    const clientId = text(params['client_id']);
    const client = await this.clients.face(clientId);
    if (!client) throw appGone();
    const known = session && (await this.consents.find(session.uid, clientId));
    return {
      ...{ uid, client, scopes: await this.scopes(params) },
      ...(params['keys_jwk'] !== undefined && { keys_jwk: text(params['keys_jwk']) }),
      ...(known && { granted: { scopes: known.scopes, at: known.changedAt.getTime() } }),
    };
  }

  /**
   * Grants exactly what was asked for, and remembers it.
   *
   * @param decide - what makes the answer count, in one step with remembering it: when it throws,
   *   nothing was granted, nor remembered
   * @throws Failure `unauthenticated`, `unverified-account`, `unverified-session`, `invalid-parameter` when the keys do not
   *   fit the question, `unknown-client`
   */
  async grant(
    session: Session | undefined,
    params: AppParams,
    { keys_jwe: keysJwe, own_session: ownsSession }: FinishInteraction,
    from: Visitor,
    decide?: (given: Given, tx: EntityManager) => Promise<void>,
  ): Promise<Given> {
    if (!session) throw new Failure('unauthenticated', 'A session must consent.');
    expectVerified(session);
    const wantsKeys = params['keys_jwk'] !== undefined;
    if (wantsKeys !== (keysJwe !== undefined) || (keysJwe && !KEYS_JWE.test(keysJwe))) {
      throw new Failure(
        'invalid-parameter',
        wantsKeys
          ? 'keys_jwe must hold the keys that the app asked for.'
          : 'No keys were asked for.',
      );
    }
    const clientId = text(params['client_id']);
    const scopes = await this.scopes(params);
    const audiences = [params['resource'] ?? []].flat() as string[];
    let grantId: string | undefined;
    try {
      grantId = await this.authority.grant(session, {
        ...{ clientId, scope: scopes.join(' '), audiences, keysJwe, ownsSession },
      });
      const given = { grantId, uid: session.uid, signIn: signInOf(session), scopes };
      await retried(() =>
        this.db.transaction(async (tx) => {
          await this.consents.hold(tx, session.uid, clientId);
          await decide?.(given, tx);
          await this.consents.remember({ uid: session.uid, clientId, scopes }, from, tx);
        }),
      );
      return given;
    } catch (error) {
      if (grantId !== undefined) await this.authority.endGrant(grantId);
      throw isAppGone(error) ? appGone() : error;
    }
  }

  /** Of those asked for, the ones that the app may have: what nobody knows was dropped unsaid. */
  private async scopes(params: AppParams): Promise<string[]> {
    const client = await this.clients.find(text(params['client_id']));
    if (!client) throw appGone();
    const allowed = scopesIn(client.scope);
    return scopesIn(text(params['scope'])).filter((scope) => allowed.includes(scope));
  }
}

/** What tokens say of how this session signed in: one without the factor says so by its `acr`. */
const signInOf = (session: Session): SignIn => ({
  ...{ ts: provenAt(session) ?? session.authAt, acr: session.acr, amr: session.amr },
});

const appGone = () => new Failure('unknown-client', 'The app is gone.');

/** Its row went while the account answered, and a grant or a consent has nothing to be of. */
const isAppGone = (error: unknown) =>
  error instanceof errors.InvalidGrant ||
  (error instanceof QueryFailedError && (error.driverError as { code?: string }).code === '23503');
