import { createHmac, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, IsNull } from 'typeorm';
import { Failure, type StorageToken } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { type KeyState, refusal, unacceptable, writeKeyId } from './key-id.ts';
import { StorageCredentialsService } from './storage-credentials.service.ts';
import { StorageUserEntity } from './storage-user.entity.ts';

/** Which store: an account's, of one app. An empty clientId is the account's Firefox store. */
export interface StoreOwner {
  accountId: string;
  clientId: string;
}

/** Where a store is. */
export interface StorePlace {
  uid: number;
  /** The node's public address, without a trailing slash. */
  node: string;
}

/** The one node there is: the storage API of this process. Its address is PUBLIC_URL. */
const OWN_NODE = 'local';
/** Before the first visit. */
const NO_KEY = { clientState: '', keysChangedAt: 0, generation: 0 };

/** Gives each account and app its store, and says where it is. */
@Injectable()
export class TokenService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly config: Config,
    private readonly clock: Clock,
    private readonly settings: SettingsService,
    private readonly credentials: StorageCredentialsService,
  ) {}

  /**
   * Answers a client's visit.
   *
   * @param seconds - how long the token is good for
   * @throws Failure `invalid-client-state`, `invalid-keys-changed-at`, `invalid-generation`,
   * `new-users-disabled`
   */
  async visit(
    owner: StoreOwner,
    key: KeyState,
    { seconds, canWrite }: { seconds: number; canWrite: boolean },
  ): Promise<StorageToken> {
    const { uid } = await this.admit(owner, key);
    const node = this.config.at('');
    const hashed = await this.hash(owner.accountId);
    const claims = {
      uid,
      node,
      fxa_uid: owner.accountId,
      fxa_kid: writeKeyId(key),
      hashed_fxa_uid: hashed,
      // No device is known behind an OAuth token.
      hashed_device_id: await this.hash(`${hashed}none`),
      access: canWrite ? (owner.clientId === '' ? undefined : ('app' as const)) : ('read' as const),
    };
    return {
      ...(await this.credentials.mint(claims, seconds)),
      uid,
      api_endpoint: `${node}/storage/1.5/${uid}`,
      duration: seconds,
      hashalg: 'sha256',
      hashed_fxa_uid: hashed,
      node_type: 'postgres',
    };
  }

  /** Where to leave something for this app of this account, also before its first visit. */
  async assign(accountId: string, clientId: string): Promise<StorePlace> {
    const owner = { accountId, clientId };
    const find = () =>
      this.db.manager.findOneBy(StorageUserEntity, { ...owner, replacedAt: IsNull() });
    let user = await find();
    if (!user) {
      // Whoever of two is first allocates, for both.
      await this.allocate(this.db.manager, owner, NO_KEY);
      user = await find();
    }
    if (!user) throw new Error('A store was removed while it was being allocated.');
    return { uid: user.uid, node: this.config.at('') };
  }

  /** The rules of key states, which two clients of one store pass one after the other. */
  private admit(owner: StoreOwner, key: KeyState): Promise<StorageUserEntity> {
    if (key.generation !== undefined && key.keysChangedAt > key.generation) {
      throw keysRefused('keys_changed_at is later than the generation');
    }
    return this.db.transaction(async (tx) => {
      const current =
        (await this.lock(tx, owner)) ??
        (await this.allocate(tx, owner, NO_KEY)) ??
        (await this.lock(tx, owner));
      if (!current) throw new Error('A store was removed while it was being allocated.');

      const isFirst = current.clientState === '';
      if (isFirst || current.clientState !== key.clientState) await this.expectNew(tx, owner, key);
      const isNew = !isFirst && current.clientState !== key.clientState;
      if (isNew && key.generation !== undefined && key.generation <= current.generation) {
        throw unacceptable('new value with no generation change');
      }
      if (isNew && key.keysChangedAt <= current.keysChangedAt) {
        throw unacceptable('new value with no keys_changed_at change');
      }
      if (key.generation !== undefined && key.generation < current.generation) {
        const description = 'generation is older than one that was seen';
        throw refusal('invalid-generation', 'Authorization', description);
      }
      if (key.keysChangedAt < current.keysChangedAt) {
        throw keysRefused('keys_changed_at is older than one that was seen');
      }
      const { keysChangedAt, clientState } = key;
      const generation = Math.max(current.generation, key.generation ?? keysChangedAt);
      const state = { keysChangedAt, clientState, generation };
      if (!isNew) {
        await tx.update(StorageUserEntity, current.uid, state);
        return current;
      }
      await tx.update(StorageUserEntity, current.uid, { replacedAt: this.clock.now() });
      const next = await this.allocate(tx, owner, state);
      if (!next) throw new Error('A store was allocated beside a locked one.');
      return next;
    });
  }

  /** Visitors of one store take turns from here to the end of the transaction. */
  private lock(tx: EntityManager, owner: StoreOwner): Promise<StorageUserEntity | null> {
    return tx.findOne(StorageUserEntity, {
      where: { ...owner, replacedAt: IsNull() },
      lock: { mode: 'pessimistic_write' },
    });
  }

  /** @returns undefined when there is a current one already, perhaps since a moment ago */
  private async allocate(
    tx: EntityManager,
    owner: StoreOwner,
    key: Required<KeyState>,
  ): Promise<StorageUserEntity | undefined> {
    if (key === NO_KEY && this.config.newStores === 'closed') {
      throw new Failure('new-users-disabled', 'There is no place for new users.');
    }
    const user = { ...owner, ...key, node: OWN_NODE, createdAt: this.clock.now() };
    const insert = tx.createQueryBuilder().insert().into(StorageUserEntity).values(user).orIgnore();
    const { raw } = (await insert.returning('uid').execute()) as { raw: { uid: number }[] };
    return raw[0] && tx.create(StorageUserEntity, { ...user, uid: raw[0].uid });
  }

  /** A key that was replaced is known to somebody it was replaced because of. */
  private async expectNew(tx: EntityManager, owner: StoreOwner, key: KeyState): Promise<void> {
    const { clientState } = key;
    if (await tx.existsBy(StorageUserEntity, { ...owner, clientState })) {
      throw unacceptable('stale value');
    }
  }

  /** The account's name in logs of nodes: 32 hex digits that lead nowhere without our key. */
  private async hash(text: string): Promise<string> {
    const key = await this.settings.getOrMake('metrics-hash-secret', () =>
      randomBytes(32).toString('base64url'),
    );
    return createHmac('sha256', key).update(text).digest('hex').slice(0, 32);
  }
}

const keysRefused = (description: string) =>
  refusal('invalid-keys-changed-at', 'X-KeyID', description);
