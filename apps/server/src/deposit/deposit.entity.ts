import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/**
 * That something was deposited, not what. The id is the record's in the recipient's inbox, so no
 * second sender may use it.
 */
@Entity('deposit')
@Index('deposit_sender', ['sender', 'recipient', 'app'])
@Index('deposit_expires_at', ['expiresAt'])
export class DepositEntity {
  @PrimaryColumn('text')
  recipient!: string;

  @PrimaryColumn('text')
  app!: string;

  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  sender!: string;

  /** base64url, of payload and ttl: tells a second attempt from another deposit. */
  @Column('text')
  sha256!: string;

  /** Of the payload, in UTF-8. */
  @Column('integer')
  bytes!: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;

  /** Null until the inbox has it; for good when the recipient does not take part in the app. */
  @Column('timestamptz', { name: 'delivered_at', nullable: true })
  deliveredAt!: Date | null;
}
