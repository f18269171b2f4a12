import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { AccountEntity } from './account.entity.ts';
import type { Factor } from './proofs.guard.ts';

/** A signed-in device. Ending it ends every grant that was given in it (`oidc.session_id`). */
@Entity('session')
@Index('session_uid', ['uid'])
export class SessionEntity {
  /** base64url SHA-256 of the token id. */
  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  uid!: string;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'uid', foreignKeyConstraintName: 'session_uid_fkey' })
  account?: AccountEntity;

  @Column('bytea', { name: 'req_hmac_key' })
  reqHmacKey!: Buffer;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  /** When the password was last given in it. */
  @Column('timestamptz', { name: 'auth_at' })
  authAt!: Date;

  /** Whether it waits for a second factor; until that is given it opens nothing. */
  @Column('boolean', { name: 'awaits_factor', default: false })
  awaitsFactor!: boolean;

  /** What was last given as second factor, and when. */
  @Column('text', { nullable: true })
  factor!: Factor | null;

  @Column('timestamptz', { name: 'factor_at', nullable: true })
  factorAt!: Date | null;

  /** When it was last used, give or take some minutes. */
  @Column('timestamptz', { name: 'used_at' })
  usedAt!: Date;

  /** What it was last used with: `Firefox on Linux`. Null before its first use. */
  @Column('text', { nullable: true })
  agent!: string | null;

  /** The session that this one takes the place of; it ends when this one registers a device. */
  @Column('text', { nullable: true })
  replaces!: string | null;
}
