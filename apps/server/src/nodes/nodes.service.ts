import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, QueryFailedError } from 'typeorm';
import { Failure, type NodeHealth } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { StorageNodeEntity } from './storage-node.entity.ts';

/** The storage of this process, when it has some. Its address is PUBLIC_URL. */
const OWN_NODE = 'local';

/** Of a DataSource that this service works on. */
export const nodeTables = [StorageNodeEntity];

/** What each release of capacity gives a node, as a share of its capacity. */
const RELEASE_RATE = 0.1;
const RELEASES_MAX = 5;
/** A node that was silent for longer gets nobody new. */
const SILENCE_SECONDS = 60;

/**
 * The nodes that stores are on. New users go where there is room, in steps of a tenth of each node's
 * capacity, and first to the node that is emptiest in proportion.
 *
 * @see docs/protocol/nodes.md, "Assignment"
 */
@Injectable()
export class NodesService implements OnApplicationBootstrap {
  private readonly logger = new Logger('nodes');

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  /** The table has our own storage as one of the nodes. */
  async onApplicationBootstrap(): Promise<void> {
    const own = await this.find(OWN_NODE);
    if (this.config.role !== 'all') {
      // Their users cannot reach them: the operator was to drain it first.
      if (own && own.currentLoad > 0) {
        this.logger.warn({ event: 'own-stores-left', stores: own.currentLoad });
      }
      return;
    }
    const capacity = this.config.nodeCapacity;
    await this.db.query(
      `INSERT INTO storage_node AS n (name, url, capacity, current_load, available, downed, draining, created_at)
       SELECT $1, NULL, $2, count(u.uid), $3, false, false, $4
         FROM storage_user u WHERE u.node = $1 AND u.purged_at IS NULL
           ON CONFLICT (name) DO UPDATE SET capacity = EXCLUDED.capacity`,
      [OWN_NODE, capacity, firstRelease(capacity), this.clock.now()],
    );
  }

  /** By name, or by address. */
  find(which: string, tx: EntityManager = this.db.manager): Promise<StorageNodeEntity | null> {
    return tx.findOne(StorageNodeEntity, { where: [{ name: which }, { url: which }] });
  }

  /** @throws Failure `not-found` */
  async get(which: string): Promise<StorageNodeEntity> {
    const node = await this.find(which);
    if (!node) throw new Failure('not-found', `There is no node ${which}.`);
    return node;
  }

  list(): Promise<StorageNodeEntity[]> {
    return this.db.manager.find(StorageNodeEntity, { order: { createdAt: 'ASC', name: 'ASC' } });
  }

  /** Its public address, without a slash at the end. */
  addressOf({ url }: StorageNodeEntity): string {
    return url ?? this.config.at('');
  }

  /** In one word, for the operator. */
  stateOf({ url, downed, draining, backoffUntil, seenAt }: StorageNodeEntity): string {
    const now = this.clock.now();
    const [since, hasOwn] = this.alive();
    if (draining) return 'draining';
    if (downed) return 'downed';
    if (url === null ? !hasOwn : !(seenAt && seenAt > since)) return 'away';
    return backoffUntil && backoffUntil > now ? 'backoff' : 'up';
  }

  /**
   * Makes a place for one more store, until the end of the transaction for this one alone.
   *
   * @param preferred - taken if it takes anybody, full or not
   * @param except - not taken
   * @returns the node's name
   * @throws Failure `unavailable` when no node has room
   */
  async place(
    tx: EntityManager,
    { preferred, except }: { preferred?: string | undefined; except?: string } = {},
  ): Promise<string> {
    if (preferred !== undefined) {
      const [kept] = await taken(tx, `name = $3 AND NOT downed AND NOT draining`, [
        ...this.alive(),
        preferred,
      ]);
      if (kept) return kept.name;
    }
    // One after the other, or many at once would all find the same node the emptiest.
    await tx.query(
      `SELECT pg_advisory_xact_lock(hashtextextended('storage-node:' || current_schema(), 0))`,
    );
    for (let releases = 0; releases <= RELEASES_MAX; releases++) {
      const [node] = await taken(
        tx,
        `name = (SELECT name FROM storage_node
                  WHERE available > 0 AND capacity > current_load AND NOT downed AND NOT draining
                    AND (backoff_until IS NULL OR backoff_until <= now()) AND ${ALIVE}
                    AND name IS DISTINCT FROM $3
                  ORDER BY CASE WHEN current_load = 0 THEN -1
                           ELSE ln(current_load) / ln(GREATEST(capacity, 2)) END, created_at, name
                  LIMIT 1 FOR UPDATE)`,
        [...this.alive(), except],
      );
      if (node) return node.name;
      const [, changed] = await tx.query<[unknown, number]>(
        `UPDATE storage_node SET available = LEAST(ceil(capacity * $1::float8)::integer, capacity - current_load)
          WHERE available <= 0 AND capacity > current_load AND NOT downed`,
        [RELEASE_RATE],
      );
      if (changed === 0) break;
    }
    throw new Failure('unavailable', 'No storage node has room.', {
      headers: { 'retry-after': '600' },
    });
  }

  /**
   * Makes a place on one node.
   *
   * @throws Failure `not-found`, `conflict` when it takes nobody or is full
   */
  async placeOn(tx: EntityManager, name: string): Promise<void> {
    const [node] = await taken(
      tx,
      `name = $3 AND NOT downed AND NOT draining AND capacity > current_load`,
      [...this.alive(), name],
    );
    if (node) return;
    await this.get(name);
    throw new Failure('conflict', `The node ${name} is full, away, downed or being drained.`);
  }

  /** A store left the node. */
  async release(tx: EntityManager, name: string): Promise<void> {
    await tx.query(
      `UPDATE storage_node SET current_load = GREATEST(current_load - 1, 0),
              available = LEAST(available + 1, capacity)
        WHERE name = $1`,
      [name],
    );
  }

  /**
   * Takes a node in, or notes its new address or capacity.
   *
   * @param isSeen - it has answered at its address
   * @throws Failure `conflict` when another node has this address
   */
  async add({ name, url, capacity }: NodeHealth, isSeen: boolean): Promise<void> {
    const now = this.clock.now();
    const other = await this.find(url);
    if ((other && other.name !== name) || name === OWN_NODE || url === this.config.at('')) {
      throw addressTaken(url);
    }
    const insert = this.db.query(
      `INSERT INTO storage_node AS n (name, url, capacity, current_load, available, downed, draining, seen_at, created_at)
       VALUES ($1, $2, $3, 0, $4, false, false, $5, $6)
           ON CONFLICT (name) DO UPDATE
          SET url = EXCLUDED.url, capacity = EXCLUDED.capacity,
              available = CASE WHEN n.capacity = EXCLUDED.capacity THEN n.available
                               ELSE EXCLUDED.available END,
              seen_at = COALESCE(EXCLUDED.seen_at, n.seen_at)`,
      [name, url, capacity, firstRelease(capacity), isSeen ? now : null, now],
    );
    await insert.catch((error: unknown) => {
      throw isTaken(error) ? addressTaken(url) : error;
    });
  }

  /** @throws Failure `not-found` */
  async set(
    name: string,
    change: Partial<Pick<StorageNodeEntity, 'downed' | 'draining' | 'backoffUntil' | 'seenAt'>>,
  ): Promise<void> {
    const { affected } = await this.db.manager.update(StorageNodeEntity, name, change);
    if (affected === 0) throw new Failure('not-found', `There is no node ${name}.`);
  }

  /**
   * Forgets a node.
   *
   * @param isForced - also with stores on it: their users then get empty ones elsewhere
   * @throws Failure `not-found`, `conflict` while it has stores
   */
  async remove(name: string, isForced: boolean): Promise<void> {
    await this.db.transaction(async (tx) => {
      const node = await tx.findOne(StorageNodeEntity, {
        where: { name },
        lock: { mode: 'pessimistic_write' },
      });
      if (!node) throw new Failure('not-found', `There is no node ${name}.`);
      if (node.currentLoad > 0 && !isForced) {
        throw new Failure(
          'conflict',
          `The node ${name} has ${node.currentLoad} stores: drain it first.`,
        );
      }
      await tx.delete(StorageNodeEntity, name);
    });
  }

  /** Whether a node takes new users is told by these, as $1 and $2. */
  private alive(): [since: Date, hasOwn: boolean] {
    const since = new Date(this.clock.now().getTime() - SILENCE_SECONDS * 1000);
    return [since, this.config.role === 'all'];
  }
}

const ALIVE = `CASE WHEN url IS NULL THEN $2::boolean ELSE seen_at > $1 END`;

const addressTaken = (url: string) =>
  new Failure('conflict', `Another node has the address ${url}: remove it first.`);

/** Two at the same moment. */
const isTaken = (error: unknown) =>
  error instanceof QueryFailedError && (error.driverError as { code?: unknown }).code === '23505';

const firstRelease = (capacity: number) => Math.ceil(capacity * RELEASE_RATE);

async function taken(
  tx: EntityManager,
  which: string,
  parameters: readonly unknown[],
): Promise<{ name: string }[]> {
  const [rows] = await tx.query<[{ name: string }[], number]>(
    `UPDATE storage_node
        SET current_load = current_load + 1, available = GREATEST(available - 1, 0)
      WHERE ${which} AND ${ALIVE} RETURNING name`,
    [...parameters],
  );
  return rows;
}
