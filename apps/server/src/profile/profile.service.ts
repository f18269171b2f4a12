import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { type Avatar, AVATAR_BYTES_MAX, Failure, type Profile, scopesImply } from '#lib/protocol';
import { AccountsService } from '../accounts/accounts.service.ts';
import { DeviceMessagesService } from '../devices/device-messages.service.ts';
import type { Grant } from '../oauth/bearer.guard.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { nameOfPicture, typeOfPicture } from '../platform/picture.ts';

/** What a person shows of themselves: a name and a picture, beside the account's address. */
@Injectable()
export class ProfileService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly accounts: AccountsService,
    private readonly messages: DeviceMessagesService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * As much as the token's scopes allow.
   *
   * @throws Failure `insufficient-scope` when that is nothing; `unauthenticated` when the account
   *   is gone
   */
  async of({ uid, scopes }: Pick<Grant, 'uid' | 'scopes'>): Promise<Profile> {
    const allows = (part: string) => scopesImply(scopes, `profile:${part}`);
    const [account, shown] = await Promise.all([this.accounts.profile(uid), this.shown(uid)]);
    if (!account) throw new Failure('unauthenticated', 'The account is gone.');
    const profile: Profile = {
      ...(allows('email') && { email: account.email }),
      ...(allows('uid') && { uid }),
      ...(allows('amr') && { amrValues: ['pwd', 'email'], twoFactorAuthentication: false }),
      ...(allows('display_name') && shown.name !== null && { displayName: shown.name }),
      ...(allows('avatar') && {
        avatar: this.addressOf(shown.avatarId),
        avatarDefault: shown.avatarId === null,
      }),
      ...(scopes.includes('openid') && { sub: uid }),
    };
    if (Object.keys(profile).length === 0) {
      throw new Failure('insufficient-scope', 'The token has no scope of the profile.', {
        headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="profile"' },
      });
    }
    return profile;
  }

  async displayName(uid: string): Promise<string | null> {
    return (await this.shown(uid)).name;
  }

  /** @param name - empty for none */
  async rename(uid: string, name: string): Promise<void> {
    await this.db.query(
      `INSERT INTO profile (uid, display_name, changed_at) VALUES ($1, $2, $3)
       ON CONFLICT (uid) DO UPDATE
         SET display_name = excluded.display_name, changed_at = excluded.changed_at`,
      [uid, name === '' ? null : name, this.clock.now()],
    );
    await this.messages.profileUpdated(uid);
  }

  async avatar(uid: string): Promise<Avatar> {
    return this.toAvatar((await this.shown(uid)).avatarId);
  }

  /** @throws Failure `unsupported-media-type`, `too-large` */
  async setAvatar(uid: string, bytes: Buffer): Promise<Avatar> {
    if (bytes.length > AVATAR_BYTES_MAX) {
      throw new Failure('too-large', `A picture has at most ${AVATAR_BYTES_MAX} bytes.`);
    }
    const [id, type, now] = [nameOfPicture(bytes), typeOfPicture(bytes), this.clock.now()];
    await this.db.transaction(async (tx) => {
      await tx.query(
        `INSERT INTO avatar (id, uid, type, picture, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (uid) DO UPDATE SET id = excluded.id, type = excluded.type,
           picture = excluded.picture, created_at = excluded.created_at`,
        [id, uid, type, bytes, now],
      );
      await this.noteChange(tx, uid);
    });
    await this.messages.profileUpdated(uid);
    return this.toAvatar(id);
  }

  /**
   * @param id - undefined for whichever there is
   * @throws Failure `not-found` when the account has no such picture
   */
  async removeAvatar(uid: string, id: string | undefined): Promise<void> {
    await this.db.transaction(async (tx) => {
      const [rows] = await tx.query<[unknown[], number]>(
        `DELETE FROM avatar WHERE uid = $1 AND id = coalesce($2, id) RETURNING id`,
        [uid, id ?? null],
      );
      if (rows.length === 0) throw noPicture();
      await this.noteChange(tx, uid);
    });
    await this.messages.profileUpdated(uid);
  }

  /** @throws Failure `not-found` */
  async picture(id: string): Promise<{ type: string; picture: Buffer }> {
    const [row] = await this.db.query<{ type: string; picture: Buffer }[]>(
      `SELECT type, picture FROM avatar WHERE id = $1`,
      [id],
    );
    if (!row) throw noPicture();
    return row;
  }

  private async shown(uid: string): Promise<{ name: string | null; avatarId: string | null }> {
    const [row] = await this.db.query<[{ name: string | null; avatarId: string | null }]>(
      `SELECT (SELECT display_name FROM profile WHERE uid = $1) AS name,
              (SELECT id FROM avatar WHERE uid = $1) AS "avatarId"`,
      [uid],
    );
    return row;
  }

  private async noteChange(tx: EntityManager, uid: string): Promise<void> {
    await tx.query(
      `INSERT INTO profile (uid, changed_at) VALUES ($1, $2)
       ON CONFLICT (uid) DO UPDATE SET changed_at = excluded.changed_at`,
      [uid, this.clock.now()],
    );
  }

  private toAvatar(id: string | null): Avatar {
    const url = this.addressOf(id);
    return { id: id ?? 'default', url, avatar: url, avatarDefault: id === null };
  }

  private addressOf(id: string | null): string {
    return this.config.at(`/profile/avatars/${id ?? 'default'}`);
  }
}

const noPicture = () => new Failure('not-found', 'There is no such picture.');
