import { createHmac, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, IsNull } from 'typeorm';
import { Failure, type StorageToken } from '#lib/protocol';
import { NodesService } from '../nodes/nodes.service.ts';
import { ScopedKeysService } from '../oauth/scoped-keys.service.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { type KeyState, refusal, unacceptable, writeKeyId } from './key-id.ts';
import { ReplacedStoresService } from './replaced-stores.service.ts';
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
    private readonly nodes: NodesService,
    private readonly replaced: ReplacedStoresService,
    private readonly scopedKeys: ScopedKeysService,
  ) {}

  /**
   * Answers a client's visit.
   *
   * @param seconds - how long the token is good for
   * @returns also for how many seconds the node wants to be left alone
   * @throws Failure `invalid-client-state`, `invalid-keys-changed-at`, `invalid-generation`,
   * `new-users-disabled`
   */
  async visit(
    owner: StoreOwner,
    key: KeyState,
    { seconds, canWrite }: { seconds: number; canWrite: boolean },
  ): Promise<{ token: StorageToken; backoff: number }> {
    const { uid, node: name } = await this.admit(owner, key);
    const home = await this.nodes.get(name);
    const node = this.nodes.addressOf(home);
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
    const token: StorageToken = {
      ...(await this.credentials.mint(claims, seconds)),
      uid,
      api_endpoint: `${node}/storage/1.5/${uid}`,
      duration: seconds,
      hashalg: 'sha256',
      hashed_fxa_uid: hashed,
      node_type: 'postgres',
    };
    const backoff = (home.backoffUntil?.getTime() ?? 0) - this.clock.now().getTime();
    return { token, backoff: Math.max(0, Math.ceil(backoff / 1000)) };
  }

  /** Where to leave something for this app of this account, also before its first visit. */
  async assign(accountId: string, clientId: string): Promise<StorePlace> {
    const { uid, node } = await this.db.transaction((tx) =>
      this.current(tx, { accountId, clientId }),
    );
    return { uid, node: this.nodes.addressOf(await this.nodes.get(node)) };
  }

  /** The rules of key states, which two clients of one store pass one after the other. */
  private async admit(owner: StoreOwner, key: KeyState): Promise<StorageUserEntity> {
    const seen = key.generation === 0 ? undefined : key.generation; // 0 says nothing
    const { user, isReplaced } = await this.db.transaction(async (tx) => {
      const current = await this.current(tx, owner);
      const isLater = key.keysChangedAt > current.keysChangedAt;
      if (isLater && seen !== undefined && key.keysChangedAt > seen) {
        throw keysRefused('keys_changed_at is later than the generation');
      }
      const isFirst = current.clientState === '';
      if (isFirst || current.clientState !== key.clientState) await this.expectNew(tx, owner, key);
      const isOther = !isFirst && current.clientState !== key.clientState;
      const isNew = isOther && !(isLater && (await this.isRotation(tx, owner, key)));
      if (isNew && seen !== undefined && seen <= current.generation) {
        throw unacceptable('new value with no generation change');
      }
      if (isNew && !isLater) {
        throw unacceptable('new value with no keys_changed_at change');
      }
      if (seen !== undefined && seen < current.generation) {
        const description = 'generation is older than one that was seen';
        throw refusal('invalid-generation', 'Authorization', description);
      }
      if (key.keysChangedAt < current.keysChangedAt) {
        throw keysRefused('keys_changed_at is older than one that was seen');
      }
      const { keysChangedAt, clientState } = key;
      const generation = Math.max(current.generation, seen ?? keysChangedAt);
      const state = { keysChangedAt, clientState, generation };
      if (!isNew) {
        await tx.update(StorageUserEntity, current.uid, state);
        return { user: current, isReplaced: false };
      }
      return { user: await this.replace(tx, current, state), isReplaced: true };
    });
    if (isReplaced) this.replaced.hurry();
    return user;
  }

  /** After a device was lost the records are put under the new key one by one, where they are. */
  private isRotation(tx: EntityManager, owner: StoreOwner, key: KeyState): Promise<boolean> {
    const { accountId: uid, clientId } = owner;
    return this.scopedKeys.isRotation(tx, { uid, clientId, seconds: key.keysChangedAt });
  }

  /** The store in use, on a node that there is; held until the end of the transaction. */
  private async current(tx: EntityManager, owner: StoreOwner): Promise<StorageUserEntity> {
    const user =
      (await this.lock(tx, owner)) ??
      (await this.allocate(tx, owner, NO_KEY)) ??
      (await this.lock(tx, owner));
    if (!user) throw new Error('A store was removed while it was being allocated.');
    if (await this.nodes.find(user.node, tx)) return user;
    // The operator removed the node, and its stores with it.
    return this.replace(tx, user, user);
  }

  private async replace(
    tx: EntityManager,
    user: StorageUserEntity,
    key: Required<KeyState>,
  ): Promise<StorageUserEntity> {
    await tx.update(StorageUserEntity, user.uid, { replacedAt: this.clock.now() });
    const next = await this.allocate(tx, user, key, user.node);
    if (!next) throw new Error('A store was allocated beside a locked one.');
    return next;
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
    { accountId, clientId }: StoreOwner,
    { clientState, keysChangedAt, generation }: Required<KeyState>,
    preferred?: string,
  ): Promise<StorageUserEntity | undefined> {
    if (preferred === undefined && this.config.newStores === 'closed') {
      throw new Failure('new-users-disabled', 'There is no place for new users.');
    }
    const node = await this.nodes.place(tx, { preferred });
    const key = { clientState, keysChangedAt, generation };
    const user = { accountId, clientId, ...key, node, createdAt: this.clock.now() };
    const insert = tx.createQueryBuilder().insert().into(StorageUserEntity).values(user).orIgnore();
    const { raw } = (await insert.returning('uid').execute()) as { raw: { uid: number }[] };
    if (!raw[0]) await this.nodes.release(tx, node);
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
