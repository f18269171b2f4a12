import { Column, Entity, Index, PrimaryGeneratedColumn } from 'typeorm';

/**
 * A store of records: one per account and app, and a new one after each change of the app's key.
 * The store itself is on the node, and knows nothing of accounts.
 */
@Entity('storage_user')
@Index('storage_user_current', ['accountId', 'clientId'], {
  unique: true,
  where: 'replaced_at IS NULL',
})
@Index('storage_user_history', ['accountId', 'clientId'])
@Index('storage_user_node', ['node'])
@Index('storage_user_left', ['uid'], { where: 'replaced_at IS NOT NULL AND purged_at IS NULL' })
export class StorageUserEntity {
  /** From 1, never used again. */
  @PrimaryGeneratedColumn({ type: 'bigint', primaryKeyConstraintName: 'storage_user_pkey' })
  uid!: number;

  @Column('text', { name: 'account_id' })
  accountId!: string;

  /** Empty for the store that all clients with Firefox's scope share. */
  @Column('text', { name: 'client_id' })
  clientId!: string;

  /** The node's name, not its address: a server that moves keeps its users. */
  @Column('text')
  node!: string;

  /** Fingerprint of the key in use, hex. Empty: a deposit came before the app's first visit. */
  @Column('text', { name: 'client_state' })
  clientState!: string;

  /** In the unit of the client's X-KeyID: Firefox counts milliseconds, an app seconds. */
  @Column('bigint', { name: 'keys_changed_at' })
  keysChangedAt!: number;

  /** Milliseconds; of the latest access token that came with one. 0: none did. */
  @Column('bigint')
  generation!: number;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;

  /** When a new key took the place of the one that this store's records are under. */
  @Column('timestamptz', { name: 'replaced_at', nullable: true })
  replacedAt!: Date | null;

  /** When its node was told to delete it. */
  @Column('timestamptz', { name: 'purged_at', nullable: true })
  purgedAt!: Date | null;
}
