import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/** Something that an account's owner may want to know of; goes with the account, or after 90 days. */
@Entity('security_event')
@Index('security_event_uid', ['uid', 'id'])
@Index('security_event_created_at', ['createdAt'])
export class SecurityEventEntity {
  @PrimaryGeneratedColumn('identity', {
    type: 'bigint',
    generatedIdentity: 'BY DEFAULT',
    primaryKeyConstraintName: 'security_event_pkey',
  })
  id!: number;

  /** Of the account. */
  @Column('text')
  uid!: string;

  @Column('text')
  name!: string;

  /** Whether the address was verified then. */
  @Column('boolean')
  verified!: boolean;

  /** Shortened to /24, or /48 of IPv6. */
  @Column('text', { nullable: true })
  network!: string | null;

  /** `Firefox on Linux` */
  @Column('text', { nullable: true })
  agent!: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
