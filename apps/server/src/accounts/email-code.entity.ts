import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { AccountEntity } from './account.entity.ts';

/** A code that was mailed and proves the address. */
@Entity('email_code')
@Index('email_code_uid', ['uid'])
export class EmailCodeEntity {
  /** base64url SHA-256 of the code, or of uid, space and six digits. */
  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  uid!: string;

  @ManyToOne(() => AccountEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'uid', foreignKeyConstraintName: 'email_code_uid_fkey' })
  account?: AccountEntity;

  @Column('boolean', { name: 'is_digits' })
  isDigits!: boolean;

  /** Guesses at the digits so far. */
  @Column('integer')
  tries!: number;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
