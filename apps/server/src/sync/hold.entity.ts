import { Column, Entity, PrimaryColumn } from 'typeorm';
import type { StoreState } from '#lib/protocol';

/** A store that is being moved, or that went away. Absent: it is open. */
@Entity('storage_hold')
export class HoldEntity {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'storage_hold_pkey' })
  uid!: number;

  @Column('text')
  state!: Exclude<StoreState, 'open'>;

  /** Hundredths of a second since 1970: when a freeze ends by itself. */
  @Column('bigint', { nullable: true })
  expires!: number | null;

  @Column('timestamptz', { name: 'changed_at' })
  changedAt!: Date;

  /** Nothing is left of a store that is gone. */
  @Column('boolean')
  purged!: boolean;
}
