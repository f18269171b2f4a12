import { createHmac, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { type Discovered, Failure, type Found, type PublicKeys } from '#lib/protocol';
import type { Grant } from '../oauth/bearer.guard.ts';
import { runNamed } from '../platform/named-statement.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { beside, type Tagged } from './etag.ts';
import { LookUpBudgetService } from './look-up-budget.service.ts';
import { DISCOVER, LOOK_UP, type Seen } from './look-ups.ts';

/**
 * Finds people for other users of the same app. Absent, hidden and unverified are answered by the
 * same statements, in the same words.
 */
@Injectable()
export class DirectoryService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly settings: SettingsService,
    private readonly budget: LookUpBudgetService,
  ) {}

  /**
   * What another user publishes in the caller's app.
   *
   * @param read - what was read together with the token
   * @throws Failure `forbidden` to a caller without keys of their own, `not-found`, `too-many-requests`
   */
  async of(uid: string, caller: Grant, read?: Seen): Promise<Tagged<PublicKeys>> {
    if (read) await this.charge(caller, [read]);
    const seen = read ?? (await this.look(caller, [uid]))[0];
    if (!seen || seen.uid === null) {
      throw new Failure('not-found', 'There are no such keys in this app.');
    }
    const { skl, etag, revocations } = seen;
    return { body: { uid, skl, ...beside(revocations) }, etag };
  }

  /**
   * The same of several: one answer per user, in that order.
   *
   * @throws Failure as {@link of}, but for `not-found`
   */
  async lookUp(uids: readonly string[], caller: Grant): Promise<Discovered> {
    return { results: (await this.look(caller, uids)).map(found) };
  }

  /**
   * Looks people up by verified address: one answer per address, in that order.
   *
   * @throws Failure as {@link lookUp}
   */
  async discover(emails: readonly string[], caller: Grant): Promise<Discovered> {
    const key = await this.settings.getOrMake('look-up-key', () =>
      randomBytes(32).toString('base64url'),
    );
    const addresses = emails.map((email) => email.toLowerCase());
    const hashes = addresses.map((address) =>
      createHmac('sha256', key).update(address).digest('base64url'),
    );
    const { uid, clientId } = caller;
    const seen = await runNamed<Seen>(this.db, {
      ...{ name: 'key-discover', text: DISCOVER },
      values: [uid, clientId, addresses, hashes],
    });
    await this.charge(caller, seen);
    return { results: seen.map(found) };
  }

  private async look(caller: Grant, uids: readonly string[]): Promise<Seen[]> {
    const { uid, clientId } = caller;
    const seen = await runNamed<Seen>(this.db, {
      ...{ name: 'key-look-up', text: LOOK_UP },
      values: [uid, clientId, uids],
    });
    await this.charge(caller, seen);
    return seen;
  }

  /** Only who can be found may look: nobody watches an app from outside. */
  private charge(caller: Grant, seen: readonly Seen[]): Promise<void> {
    if (seen[0]?.isMember !== true) {
      throw new Failure('forbidden', 'Publish your own keys in this app first.');
    }
    return this.budget.charge(caller, seen);
  }
}

function found({ uid, skl, revocations }: Seen): Found {
  return uid === null ? { found: false } : { found: true, uid, skl, ...beside(revocations) };
}
