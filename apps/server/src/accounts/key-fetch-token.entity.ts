import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { AccountEntity } from './account.entity.ts';

/** One fetch of the account's keys, ready to be handed out: the server forgets the token. */
@Entity('key_fetch_token')
@Index('key_fetch_token_uid', ['uid'])
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

  /** ct | mac, 96 bytes. */
  @Column('bytea')
  bundle!: Buffer;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
