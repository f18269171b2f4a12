import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';

/** A storage server that accounts are assigned to. */
@Entity('storage_node')
@Unique('storage_node_url', ['url'])
export class StorageNodeEntity {
  /** Made by the node itself; it stays when the address changes. */
  @PrimaryColumn('text', { primaryKeyConstraintName: 'storage_node_pkey' })
  name!: string;

  /** Without a slash at the end. Null: this server's own storage, at PUBLIC_URL. */
  @Column('text', { nullable: true })
  url!: string | null;

  /** How many stores it is made for. */
  @Column('integer')
  capacity!: number;

  /** How many it has, those included that are still to be deleted. */
  @Column('integer', { name: 'current_load' })
  currentLoad!: number;

  /** How many it may get before all nodes are given more. */
  @Column('integer')
  available!: number;

  /** Gets nobody new, because the operator says so. */
  @Column('boolean')
  downed!: boolean;

  /** Gets nobody new, and is being emptied. */
  @Column('boolean')
  draining!: boolean;

  /** Until then it gets nobody new, and its users are asked to come less often. */
  @Column('timestamptz', { name: 'backoff_until', nullable: true })
  backoffUntil!: Date | null;

  /** When it last answered; our own is always there. */
  @Column('timestamptz', { name: 'seen_at', nullable: true })
  seenAt!: Date | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
