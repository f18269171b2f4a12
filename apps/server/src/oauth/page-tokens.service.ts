import { Injectable } from '@nestjs/common';
import { apiByScope, type AskPageToken, audiences, Failure, type PageToken } from '#lib/protocol';
import type { Session } from '../accounts/session.guard.ts';
import { AuthorityService } from './authority.service.ts';
import { ConsentsService } from './consents.service.ts';
import { resourceServer } from './resources.ts';

/** Seconds: as long as the proof that it was asked with is good. */
const LIFE_SECONDS = 300;

/**
 * Tokens for the account's own pages, on which a person looks at what an app keeps for them.
 *
 * A page acts as the app would, within what the account lets that app do: it has kB, so it could
 * derive the app's key as well. The token ends with the session, and when the app is revoked.
 */
@Injectable()
export class PageTokensService {
  constructor(
    private readonly authority: AuthorityService,
    private readonly consents: ConsentsService,
  ) {}

  /** @throws Failure `unknown-client` for an app that is not connected, `invalid-scopes` */
  async issue(session: Session, { client_id: clientId, api }: AskPageToken): Promise<PageToken> {
    const { provider } = this.authority;
    const consent = await this.consents.find(session.uid, clientId);
    const client = consent && (await provider.Client.find(clientId));
    if (!client) throw notConnected(clientId);
    const scopes = consent.scopes.filter(
      (name) => apiByScope[name as keyof typeof apiByScope] === api,
    );
    if (scopes.length === 0) {
      throw new Failure('invalid-scopes', `The app may not use ${audiences[api]}.`, {
        extra: { invalidScopes: [] },
      });
    }
    const scope = scopes.join(' ');
    const asked = { clientId, scope, audiences: [audiences[api]], seconds: LIFE_SECONDS };
    const grantId = await this.authority.grant(session, asked);
    // Whoever revoked the app meanwhile did not see this grant.
    if (!(await this.consents.find(session.uid, clientId))) {
      await this.authority.endGrant(grantId);
      throw notConnected(clientId);
    }
    const made = { accountId: session.uid, client, grantId, gty: 'page', scope };
    const token = Object.assign(
      new provider.AccessToken({ ...made, expiresIn: LIFE_SECONDS }),
      { authTime: session.authAt }, // what is dangerous at that API asks for it
    );
    const info = resourceServer(audiences[api], LIFE_SECONDS);
    if (info?.audience) token.resourceServer = new provider.ResourceServer(info.audience, info);
    return { access_token: await token.save(), expires_in: LIFE_SECONDS, scope };
  }
}

const notConnected = (clientId: string) =>
  new Failure('unknown-client', 'This app is not connected.', { extra: { clientId } });
