import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A store on its way from one node to another. */
@Entity('store_move')
export class StoreMoveEntity {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'store_move_pkey' })
  uid!: number;

  @Column('text', { name: 'from_node' })
  fromNode!: string;

  @Column('text', { name: 'to_node' })
  toNode!: string;

  /** `releasing`: the copy is whole, and the old node lets go. `switched`: the new one is its place. */
  @Column('text')
  state!: 'copying' | 'releasing' | 'switched';

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
