import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, IsNull } from 'typeorm';
import {
  CollectionDigest,
  Failure,
  Pulled,
  type StoreChange,
  StoreChanged,
  StoreSummary,
} from '#lib/protocol';
import { NodesService } from '../nodes/nodes.service.ts';
import { Clock } from '../platform/clock.ts';
import { NodeClientService } from '../platform/node-client.service.ts';
import { StorageUserEntity } from './storage-user.entity.ts';
import { StoreMoveEntity } from './store-move.entity.ts';

/** What the move of one store came to. */
export interface Moved {
  uid: number;
  from: string;
  to: string;
  records: number;
  /** For how long its clients could not write, in milliseconds; 0 when another process began it. */
  pausedMs: number;
}

const INTERVAL_MS = 30_000;
/** Copying goes on until so little changed in one round that the rest is soon done. */
const FEW_RECORDS = 100;
const ROUNDS_MAX = 10;
const FREEZE_SECONDS = 120;
/** A record that ends sooner is not compared: it may be purged on one side. */
const LIVES_ON_SECONDS = 120;

/**
 * Moves stores between nodes while their clients use them. Each step can be made again, and what is
 * done is in the table, so that a move that was broken off is finished by the server.
 *
 * @see docs/protocol/nodes.md, "Moving a store"
 */
@Injectable()
export class MovesService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('nodes');
  private timer?: NodeJS.Timeout;
  private running: Promise<void> = Promise.resolve();
  private isEnding = false;

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly nodes: NodesService,
    private readonly client: NodeClientService,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.running = this.finishAll();
    }, INTERVAL_MS).unref();
  }

  async onModuleDestroy(): Promise<void> {
    this.isEnding = true;
    clearInterval(this.timer);
    await this.running;
  }

  /** The stores on a node that are in use. */
  async storesOn(node: string): Promise<number[]> {
    const rows = await this.db.manager.find(StorageUserEntity, {
      where: { node, replacedAt: IsNull() },
      order: { uid: 'ASC' },
      select: { uid: true },
    });
    return rows.map(({ uid }) => uid);
  }

  /** The stores of an account. */
  async storesOf(accountId: string): Promise<number[]> {
    const rows = await this.db.manager.find(StorageUserEntity, {
      where: { accountId, replacedAt: IsNull() },
      order: { uid: 'ASC' },
      select: { uid: true },
    });
    return rows.map(({ uid }) => uid);
  }

  /**
   * Moves a store.
   *
   * @param to - the node's name; undefined for the one that a new user would get
   * @throws Failure `not-found`, `conflict`, `unavailable`; what was begun is then finished later
   */
  move(uid: number, to?: string): Promise<Moved> {
    return this.alone(uid, async () => {
      const begun = await this.db.manager.findOneBy(StoreMoveEntity, { uid });
      if (begun && to !== undefined && begun.toNode !== to) {
        throw new Failure('conflict', `The store is on its way to ${begun.toNode}.`);
      }
      return this.run(begun ?? (await this.begin(uid, to)));
    });
  }

  /** Finishes what was broken off, as far as the nodes are there. */
  async finishAll(): Promise<void> {
    try {
      for (const { uid } of await this.db.manager.find(StoreMoveEntity)) {
        if (this.isEnding) return;
        await this.move(uid).catch((error: unknown) => {
          const isExpected = error instanceof Failure && error.code === 'conflict';
          if (!isExpected) this.logger.warn({ event: 'move-waits', uid, reason: String(error) });
        });
      }
    } catch (error) {
      this.logger.warn({ event: 'moves-wait', reason: String(error) });
    }
  }

  private begin(uid: number, to: string | undefined): Promise<StoreMoveEntity> {
    return this.db.transaction(async (tx) => {
      const user = await tx.findOne(StorageUserEntity, {
        where: { uid, replacedAt: IsNull() },
        lock: { mode: 'pessimistic_write' },
      });
      if (!user) throw new Failure('not-found', `There is no store ${uid} in use.`);
      if (user.node === to) throw new Failure('conflict', `The store is on ${to} already.`);
      if (to !== undefined) await this.nodes.placeOn(tx, to);
      const toNode = to ?? (await this.nodes.place(tx, { except: user.node }));
      const move = { uid, fromNode: user.node, toNode, state: 'copying' as const };
      return tx.save(StoreMoveEntity, { ...move, createdAt: this.clock.now() });
    });
  }

  private async run(move: StoreMoveEntity): Promise<Moved> {
    const { uid } = move;
    const from = await this.placeOf(move.fromNode, uid);
    const to = await this.placeOf(move.toNode, uid);
    const moved = { uid, from: move.fromNode, to: move.toNode, records: 0, pausedMs: 0 };
    let pausedAt: number | undefined;

    if (move.state === 'copying') {
      if (!(await this.isCurrent(move))) return this.drop(move, to, moved);
      const verified = await this.copy(from, to);
      pausedAt = this.ms();
      moved.records = await this.copyRest(from, to, verified);
      move = await this.enter(move, 'releasing');
    }
    if (move.state === 'releasing') {
      try {
        await from.change({ state: 'released' });
      } catch (error) {
        // The freeze has ended: there may have been writes since.
        if (error instanceof Failure && error.code === 'conflict')
          await this.enter(move, 'copying');
        throw error;
      }
      move = await this.switch(move);
    }
    // No reader of the old node was promised a later time than this one.
    const { at } = await from.change({ state: 'released' }).catch(() => ({ at: this.ms() / 10 }));
    await to.change({ state: 'open', after: Math.ceil(at) });
    if (pausedAt !== undefined) moved.pausedMs = this.ms() - pausedAt;
    await from.change({ state: 'gone' });
    await this.db.manager.delete(StoreMoveEntity, uid);
    this.logger.log({ event: 'store-moved', ...moved });
    return moved;
  }

  /** Copies while its clients go on writing. @returns the collections that are equal */
  private async copy(from: Place, to: Place): Promise<Map<string, CollectionDigest>> {
    await to.change({ state: 'incoming' });
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if ((await to.pull(from)) <= FEW_RECORDS) break;
    }
    const { equal } = await this.compare(from, to, new Map());
    return equal;
  }

  /** Stops writing, copies what changed last, and compares. @returns how many records there are */
  private async copyRest(
    from: Place,
    to: Place,
    verified: Map<string, CollectionDigest>,
  ): Promise<number> {
    await from.change({ state: 'frozen', seconds: FREEZE_SECONDS });
    try {
      await to.pull(from);
      const { different, records } = await this.compare(from, to, verified);
      if (different.length > 0) {
        throw new Failure('conflict', `The copies of ${different.join(', ')} differ.`);
      }
      return records;
    } catch (error) {
      await from.change({ state: 'open' }).catch(() => undefined); // it ends by itself, too
      throw error;
    }
  }

  /** By time, count and digest of each collection. @param verified - those that need no second look */
  private async compare(from: Place, to: Place, verified: ReadonlyMap<string, CollectionDigest>) {
    const equal = new Map<string, CollectionDigest>();
    const different: string[] = [];
    let records = 0;
    const until = Math.floor(this.ms() / 10) + LIVES_ON_SECONDS * 100;
    const theirs = new Map((await to.collections()).map((c) => [c.collection, c]));
    for (const { collection, modified, deleted } of await from.collections()) {
      const known = verified.get(collection);
      const copy = theirs.get(collection);
      if (known && [known, copy].every((c) => c?.modified === modified && c.deleted === deleted)) {
        records += known.records;
        continue;
      }
      const [a, b] = await Promise.all([
        from.digest(collection, until),
        to.digest(collection, until),
      ]);
      records += a.records;
      const isEqual =
        a.modified === b.modified &&
        a.deleted === b.deleted &&
        a.records === b.records &&
        a.digest === b.digest;
      if (isEqual) equal.set(collection, a);
      else different.push(collection);
    }
    return { equal, different, records };
  }

  /** From here on the token server says the new node. */
  private switch(move: StoreMoveEntity): Promise<StoreMoveEntity> {
    return this.db.transaction(async (tx) => {
      await tx.update(StorageUserEntity, { uid: move.uid }, { node: move.toNode });
      await this.nodes.release(tx, move.fromNode);
      return tx.save(StoreMoveEntity, Object.assign(move, { state: 'switched' as const }));
    });
  }

  /** The store was replaced meanwhile: nobody wants it. */
  private async drop(move: StoreMoveEntity, to: Place, moved: Moved): Promise<Moved> {
    const { uid, toNode: node } = move;
    if (await this.db.manager.existsBy(StorageUserEntity, { uid, node, replacedAt: IsNull() })) {
      throw new Failure('conflict', `The store ${uid} is in use on ${node}.`);
    }
    await to.change({ state: 'gone' });
    await this.db.transaction(async (tx) => {
      await this.nodes.release(tx, move.toNode);
      await tx.delete(StoreMoveEntity, move.uid);
    });
    return moved;
  }

  private isCurrent({ uid, fromNode: node }: StoreMoveEntity): Promise<boolean> {
    return this.db.manager.existsBy(StorageUserEntity, { uid, node, replacedAt: IsNull() });
  }

  private enter(move: StoreMoveEntity, state: StoreMoveEntity['state']): Promise<StoreMoveEntity> {
    return this.db.manager.save(StoreMoveEntity, Object.assign(move, { state }));
  }

  private async placeOf(name: string, uid: number): Promise<Place> {
    return new Place(this.client, this.nodes.addressOf(await this.nodes.get(name)), uid);
  }

  /** One process at a time moves a store; another is told so at once. */
  private async alone<T>(uid: number, work: () => Promise<T>): Promise<T> {
    const runner = this.db.createQueryRunner();
    await runner.connect();
    const key = `hashtextextended('store-move:' || current_schema() || $1::text, 0)`;
    try {
      const [{ free }] = (await runner.query(`SELECT pg_try_advisory_lock(${key}) AS free`, [
        String(uid),
      ])) as [{ free: boolean }];
      if (!free) throw new Failure('conflict', `The store ${uid} is being moved already.`);
      try {
        return await work();
      } finally {
        await runner.query(`SELECT pg_advisory_unlock(${key})`, [String(uid)]);
      }
    } finally {
      await runner.release();
    }
  }

  private ms(): number {
    return this.clock.now().getTime();
  }
}

/** A store on a node. */
class Place {
  constructor(
    private readonly client: NodeClientService,
    private readonly node: string,
    private readonly uid: number,
  ) {}

  change(body: StoreChange): Promise<StoreChanged> {
    return this.client.call(this.node, ['PUT', `/stores/${this.uid}`], StoreChanged, { body });
  }

  async collections(): Promise<StoreSummary['collections']> {
    const path = `/stores/${this.uid}`;
    return (await this.client.call(this.node, ['GET', path], StoreSummary)).collections;
  }

  digest(collection: string, until: number): Promise<CollectionDigest> {
    const path = `/stores/${this.uid}/digest`;
    const body = { collection, until };
    return this.client.call(this.node, ['POST', path], CollectionDigest, { body });
  }

  /** @returns how many records changed here */
  async pull(from: Place): Promise<number> {
    const path = `/stores/${this.uid}/pull`;
    const body = { from: from.node };
    for (let changed = 0; ;) {
      const pulled = await this.client.call(this.node, ['POST', path], Pulled, { body });
      changed += pulled.changed;
      if (pulled.isDone) return changed;
    }
  }
}
