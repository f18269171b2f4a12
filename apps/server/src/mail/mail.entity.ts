import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/** A mail that is still to be sent. The row goes when it is sent or given up. */
@Entity('mail')
@Index('mail_next_try_at', ['nextTryAt'])
export class MailEntity {
  @PrimaryGeneratedColumn('identity', {
    ...{ type: 'bigint', generatedIdentity: 'BY DEFAULT', primaryKeyConstraintName: 'mail_pkey' },
  })
  id!: number;

  @Column('text')
  kind!: string;

  @Column('text')
  address!: string;

  /** What the template needs; a code is in plain here, until it is mailed. */
  @Column('jsonb')
  content!: Record<string, string>;

  @Column('integer')
  tries!: number;

  @Column('timestamptz', { name: 'next_try_at' })
  nextTryAt!: Date;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
