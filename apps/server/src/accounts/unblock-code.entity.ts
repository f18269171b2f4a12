import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { AccountEntity } from './account.entity.ts';

/** A code that was mailed to somebody whose sign-in is locked. */
@Entity('unblock_code')
@Index('unblock_code_uid', ['uid'])
export class UnblockCodeEntity {
  /** base64url SHA-256 of uid and code. */
  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  uid!: string;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'uid', foreignKeyConstraintName: 'unblock_code_uid_fkey' })
  account?: AccountEntity;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
