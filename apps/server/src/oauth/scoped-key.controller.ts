import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  APP_KEY,
  AskScopedKeyData,
  Failure,
  OLD_SYNC,
  scopesIn,
  THUNDERBIRD_SYNC,
  type ScopedKeyDataByScope,
} from '#lib/protocol';
import { appKeyIdentifier } from '#lib/crypto';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { ClientsService } from './clients.service.ts';

/** Tells the account's own device what to derive an app's keys from: docs/protocol/oauth.md */
@Controller('auth/v1/account/scoped-key-data')
@UseGuards(VerifiedSessionGuard)
export class ScopedKeyController {
  constructor(private readonly clients: ClientsService) {}

  /** Scopes without keys, or that the app may not have, are left out, as in Firefox Accounts. */
  @Post()
  @HttpCode(200)
  async data(
    @Session() session: Session,
    @Body({ schema: AskScopedKeyData }) { client_id: clientId, scope }: AskScopedKeyData,
  ): Promise<ScopedKeyDataByScope> {
    const client = await this.clients.find(clientId);
    if (!client) {
      throw new Failure('unknown-client', 'There is no such app.', { extra: { clientId } });
    }
    // What a session knew before the keys changed may be what they were changed because of.
    if ((session.authAt + 1) * 1000 <= session.keysChangedAt) {
      throw new Failure('stale-auth', 'The password must be given again.', {
        extra: { authAt: session.authAt },
      });
    }
    const identifiers: Partial<Record<string, string>> = {
      [APP_KEY]: appKeyIdentifier(clientId),
      [OLD_SYNC]: OLD_SYNC,
      [THUNDERBIRD_SYNC]: THUNDERBIRD_SYNC,
    };
    const allowed = scopesIn(client.scope);
    return Object.fromEntries(
      scopesIn(scope).flatMap((name) => {
        const identifier = identifiers[name];
        if (identifier === undefined || !allowed.includes(name)) return [];
        const keyRotationTimestamp = session.keysChangedAt;
        return [
          [name, { identifier, keyRotationSecret: '0'.repeat(64), keyRotationTimestamp }] as const,
        ];
      }),
    );
  }
}
