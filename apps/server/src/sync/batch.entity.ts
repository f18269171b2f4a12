import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** An upload in parts that was begun and not committed. Lost when the database crashes. */
@Entity('batch')
@Index('batch_place', ['uid', 'collection'])
@Index('batch_expires', ['expires'])
export class BatchEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'batch_pkey' })
  id!: string;

  @Column('bigint')
  uid!: number;

  @Column('text')
  collection!: string;

  /** Hundredths of a second since 1970. */
  @Column('bigint')
  expires!: number;

  /** How many are in it, each id once. */
  @Column('integer')
  records!: number;

  /** Of their payloads. */
  @Column('bigint')
  bytes!: number;
}

/** A record of a batch. What is null keeps, at the commit, what the store has. */
@Entity('batch_bso')
export class BatchBsoEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'batch_bso_pkey' })
  batch!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'batch_bso_pkey' })
  id!: string;

  @Column('text', { nullable: true })
  payload!: string | null;

  @Column('integer')
  bytes!: number;

  @Column('integer', { nullable: true })
  sortindex!: number | null;

  /** Seconds from the commit. */
  @Column('integer', { nullable: true })
  ttl!: number | null;
}
