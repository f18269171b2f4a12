import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, Repository } from 'typeorm';
import {
  type Discovered,
  Failure,
  type OwnKeys,
  type PublicKeys,
  type PublishKeys,
} from '#lib/protocol';
import { AccountsService } from '../accounts/accounts.service.ts';
import type { Grant } from '../oauth/bearer.guard.ts';
import { Clock } from '../platform/clock.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { checkKeyList } from './key-list.ts';
import { KeyListEntity } from './key-list.entity.ts';

/** A representation and its strong entity tag, quotes included. */
export interface Tagged<T> {
  body: T;
  etag: string;
}

/** Keeps what each user publishes in each app, and finds it for other users of that app. */
@Injectable()
export class KeysService {
  constructor(
    @InjectRepository(KeyListEntity) private readonly lists: Repository<KeyListEntity>,
    private readonly accounts: AccountsService,
    private readonly settings: SettingsService,
    private readonly clock: Clock,
  ) {}

  /**
   * Publishes the first list of a user in an app.
   *
   * @throws Failure `invalid-key-list`, `precondition-failed` when there is a list already
   */
  async publish({ uid, clientId }: Grant, asked: PublishKeys): Promise<Tagged<PublicKeys>> {
    const realm = await this.settings.realm();
    const place = { realm, uid, clientId, now: this.clock.seconds() };
    const { ver } = await checkKeyList(asked, place);
    const { skl, wrapped } = asked;
    const entity = { uid, clientId, ver, skl, wrapped, publishedAt: this.clock.now() };
    // The primary key decides a race between two devices; a look beforehand could not.
    const insert = this.lists.createQueryBuilder().insert().values(entity).orIgnore();
    const { raw } = (await insert.returning('ver').execute()) as { raw: unknown[] };
    if (raw.length === 0) {
      throw new Failure('precondition-failed', 'The user has published keys in this app already.');
    }
    return { body: { uid, skl }, etag: etagOf(ver, skl) };
  }

  /** @throws Failure `not-found` before the first publication */
  async own({ uid, clientId }: Grant): Promise<Tagged<OwnKeys>> {
    const list = await this.newest(uid, clientId);
    if (!list) throw absent();
    const { ver, skl, wrapped } = list;
    return { body: { skl, wrapped }, etag: etagOf(ver, skl) };
  }

  /**
   * What another user publishes in the caller's app.
   *
   * @throws Failure `forbidden` to a caller without keys of their own, `not-found`
   */
  async of(uid: string, caller: Grant): Promise<Tagged<PublicKeys>> {
    await this.expectMember(caller);
    const list = await this.newest(uid, caller.clientId);
    if (!list) throw absent();
    return { body: { uid, skl: list.skl }, etag: etagOf(list.ver, list.skl) };
  }

  /**
   * Looks people up by verified address: one answer per address, in that order.
   *
   * @throws Failure `forbidden` to a caller without keys of their own
   */
  async discover(emails: readonly string[], caller: Grant): Promise<Discovered> {
    await this.expectMember(caller);
    const uids = await this.accounts.findVerified(emails);
    const lists = await this.lists.find({
      select: { uid: true, skl: true },
      where: { uid: In([...uids.values()]), clientId: caller.clientId },
      order: { ver: 'ASC' }, // so that the newest stays in the map
    });
    const sklByUid = new Map(lists.map(({ uid, skl }) => [uid, skl]));
    return {
      results: emails.map((email) => {
        const uid = uids.get(email.toLowerCase());
        const skl = uid === undefined ? undefined : sklByUid.get(uid);
        return skl === undefined ? { found: false } : { found: true, uid, skl };
      }),
    };
  }

  /** Whether the user takes part in the app: has published keys there. */
  isMember(uid: string, clientId: string): Promise<boolean> {
    return this.lists.existsBy({ uid, clientId });
  }

  /** Only who can be found may look: nobody watches an app from outside. */
  private async expectMember({ uid, clientId }: Grant): Promise<void> {
    if (await this.isMember(uid, clientId)) return;
    throw new Failure('forbidden', 'Publish your own keys in this app first.');
  }

  private newest(uid: string, clientId: string): Promise<KeyListEntity | null> {
    return this.lists.findOne({ where: { uid, clientId }, order: { ver: 'DESC' } });
  }
}

const absent = () => new Failure('not-found', 'There are no such keys in this app.');

/** `"<version>-<12 bytes of the list's SHA-256>"` */
const etagOf = (ver: number, skl: string): string =>
  `"${ver}-${createHash('sha256').update(skl).digest().subarray(0, 12).toString('base64url')}"`;
