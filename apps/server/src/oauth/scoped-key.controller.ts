import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  APP_KEY,
  AskScopedKeyData,
  Failure,
  OLD_SYNC,
  RotatedScopedKey,
  RotateScopedKey,
  type ScopedKeyData,
  scopesIn,
  THUNDERBIRD_SYNC,
  type ScopedKeyDataByScope,
} from '#lib/protocol';
import { RecentlyProvedGuard } from '../accounts/recently-proved.guard.ts';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { ClientsService } from './clients.service.ts';
import { ScopedKeysService } from './scoped-keys.service.ts';

/** Tells the account's own device what to derive an app's keys from: docs/protocol/oauth.md */
@Controller('auth/v1/account')
export class ScopedKeyController {
  constructor(
    private readonly clients: ClientsService,
    private readonly keys: ScopedKeysService,
  ) {}

  /** Scopes without keys, or that the app may not have, are left out, as in Firefox Accounts. */
  @Post('scoped-key-data')
  @HttpCode(200)
  @UseGuards(VerifiedSessionGuard)
  async data(
    @Session() session: Session,
    @Body({ schema: AskScopedKeyData }) { client_id: clientId, scope }: AskScopedKeyData,
  ): Promise<ScopedKeyDataByScope> {
    const client = await this.clients.find(clientId);
    if (!client) {
      throw new Failure('unknown-client', 'There is no such app.', { extra: { clientId } });
    }
    expectLaterThanKeys(session);
    const asked = scopesIn(scope);
    const allowed = scopesIn(client.scope);
    const data: ScopedKeyDataByScope = {};
    for (const name of asked.filter((each) => allowed.includes(each))) {
      if (name === APP_KEY) {
        data[name] = await this.keys.find(session.uid, clientId, session.keysChangedAt);
      } else if (name === OLD_SYNC || name === THUNDERBIRD_SYNC) {
        data[name] = {
          ...{ identifier: name, keyRotationSecret: '0'.repeat(64) },
          keyRotationTimestamp: session.keysChangedAt,
        };
      }
    }
    return data;
  }

  /** When a device is lost: the app's key becomes another, and nothing that the app was given is good. */
  @Post('scoped-key/rotate')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  rotate(
    @Session() session: Session,
    @Body({ schema: RotateScopedKey }) { client_id: clientId }: RotateScopedKey,
    @From() from: Visitor,
  ): Promise<ScopedKeyData> {
    expectLaterThanKeys(session);
    return this.keys.rotate(session, clientId, from);
  }

  /** Nothing is under the key before any more: it is forgotten. */
  @Post('scoped-key/rotated')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  async rotated(
    @Session() { uid }: Session,
    @Body({ schema: RotatedScopedKey }) body: RotatedScopedKey,
  ): Promise<Record<string, never>> {
    await this.keys.finish(uid, body.client_id, body.keyRotationTimestamp);
    return {};
  }
}

/** What a session knew before the keys changed may be what they were changed because of. */
function expectLaterThanKeys({ authAt, keysChangedAt }: Session): void {
  if ((authAt + 1) * 1000 > keysChangedAt) return;
  throw new Failure('stale-auth', 'The password must be given again.', { extra: { authAt } });
}
