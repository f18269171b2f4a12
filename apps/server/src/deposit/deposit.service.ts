import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, MoreThan } from 'typeorm';
import {
  type Deposit,
  DEPOSIT_TTL_SECONDS_MAX,
  Failure,
  INBOX,
  type InboxRecord,
} from '#lib/protocol';
import { KeysService } from '../keys/keys.service.ts';
import type { Grant } from '../oauth/bearer.guard.ts';
import { Clock } from '../platform/clock.ts';
import { StorageClientService } from '../token/storage-client.service.ts';
import { TokenService } from '../token/token.service.ts';
import { DepositEntity } from './deposit.entity.ts';

/** Deposits from one sender to one recipient in one app that may wait at a time, and their bytes. */
const WAITING_MAX = 100;
const WAITING_BYTES_MAX = 1_048_576;

/** Expired rows that a deposit clears away; more than one, so that they do not pile up. */
const PURGED = 10;

/** Where a deposit goes. */
export interface Address {
  uid: string;
  app: string;
  id: string;
}

/**
 * Leaves envelopes in other users' inboxes. The row is written first and marked when the inbox has
 * the record, so a sender who heard nothing tries again: nothing is lost, and the record's id keeps
 * it from being there twice.
 */
@Injectable()
export class DepositService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly keys: KeysService,
    private readonly tokens: TokenService,
    private readonly storage: StorageClientService,
    private readonly clock: Clock,
  ) {}

  /**
   * Accepts a deposit, and delivers it if the recipient takes part in the app; the sender is told
   * the same in either case.
   *
   * @throws Failure `forbidden` for another app, `conflict` for an id that was used, `too-many-requests`,
   *   `unavailable` when the inbox cannot be reached
   */
  async put(caller: Grant, address: Address, deposit: Deposit): Promise<void> {
    if (address.app !== caller.clientId) {
      throw new Failure('forbidden', 'An app leaves messages for its own users only.');
    }
    const row = await this.accept(caller.uid, address, deposit);
    if (row.deliveredAt) return;
    const { uid, app, id } = address;
    if (!(await this.keys.isMember(uid, app))) return;
    const record: InboxRecord = { v: 1, from: caller.uid, box: deposit.payload };
    const left = row.expiresAt.getTime() - this.clock.now().getTime();
    await this.storage.put(await this.tokens.assign(uid, app), 'deposit', INBOX, [
      { id, payload: JSON.stringify(record), ttl: Math.max(Math.ceil(left / 1000), 1) },
    ]);
    const key = { recipient: uid, app, id };
    await this.db.manager.update(DepositEntity, key, { deliveredAt: this.clock.now() });
  }

  private accept(
    sender: string,
    { uid: recipient, app, id }: Address,
    { payload, ttl = DEPOSIT_TTL_SECONDS_MAX }: Deposit,
  ): Promise<DepositEntity> {
    const now = this.clock.now();
    const sha256 = createHash('sha256').update(`${ttl} ${payload}`).digest('base64url');
    return this.db.transaction(async (tx) => {
      // Senders to one inbox take turns from here to the end of their transaction.
      await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
        `deposit ${recipient} ${app}`,
      ]);
      await purge(tx, now);
      const existing = await tx.findOneBy(DepositEntity, { recipient, app, id });
      if (existing && existing.expiresAt > now) {
        if (existing.sender === sender && existing.sha256 === sha256) return existing;
        throw new Failure('conflict', 'There was another deposit of this id.');
      }
      const bytes = Buffer.byteLength(payload);
      const pair = { sender, recipient, app, expiresAt: MoreThan(now) };
      const waiting = await tx.countBy(DepositEntity, pair);
      const waitingBytes = (await tx.sum(DepositEntity, 'bytes', pair)) ?? 0;
      if (waiting >= WAITING_MAX || waitingBytes + bytes > WAITING_BYTES_MAX) {
        throw new Failure('too-many-requests', 'Too much is waiting for this recipient.', {
          headers: { 'retry-after': '3600' },
        });
      }
      return tx.save(DepositEntity, {
        ...{ recipient, app, id, sender, sha256, bytes, createdAt: now, deliveredAt: null },
        expiresAt: new Date(now.getTime() + ttl * 1000),
      });
    });
  }
}

/** Rows that another deposit is clearing away are left to it. */
async function purge(tx: EntityManager, now: Date): Promise<void> {
  await tx.query(
    `DELETE FROM deposit WHERE (recipient, app, id) IN
       (SELECT recipient, app, id FROM deposit WHERE expires_at <= $1
         LIMIT ${PURGED} FOR UPDATE SKIP LOCKED)`,
    [now],
  );
}
