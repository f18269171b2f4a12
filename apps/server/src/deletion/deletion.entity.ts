import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** The erasing of an account that was deleted; kept for a while after it is done. */
@Entity('deletion')
@Index('deletion_next_try_at', ['nextTryAt'])
export class DeletionEntity {
  @PrimaryColumn('text')
  uid!: string;

  @Column('timestamptz', { name: 'asked_at' })
  askedAt!: Date;

  @Column('integer')
  tries!: number;

  /** Null: nothing is left to do. */
  @Column('timestamptz', { name: 'next_try_at', nullable: true })
  nextTryAt!: Date | null;

  /** By part of the server, why it is not done. */
  @Column('jsonb')
  waiting!: Record<string, string>;

  /** When nothing was left for the first time. */
  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt!: Date | null;
}
