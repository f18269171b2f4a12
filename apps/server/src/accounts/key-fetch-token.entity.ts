import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { AccountEntity } from './account.entity.ts';
import { SessionEntity } from './session.entity.ts';

/** One fetch of the account's keys, ready to be handed out: the server forgets the token. */
@Entity('key_fetch_token')
@Index('key_fetch_token_uid', ['uid'])
@Index('key_fetch_token_awaits', ['awaits'], { where: 'awaits IS NOT NULL' })
export class KeyFetchTokenEntity {
  /** base64url SHA-256 of the token id. */
  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  uid!: string;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'uid', foreignKeyConstraintName: 'key_fetch_token_uid_fkey' })
  account?: AccountEntity;

  @Column('bytea', { name: 'req_hmac_key' })
  reqHmacKey!: Buffer;

  /** The session whose second factor it waits for. */
  @Column('text', { nullable: true })
  awaits!: string | null;

  @ManyToOne(() => SessionEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'awaits', foreignKeyConstraintName: 'key_fetch_token_awaits_fkey' })
  awaited?: SessionEntity;

  /** ct | mac, 96 bytes. */
  @Column('bytea')
  bundle!: Buffer;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
