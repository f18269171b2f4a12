import { Column, Entity, PrimaryColumn } from 'typeorm';

/** One collection of one user. Its row is what writers take turns on, and is never removed. */
@Entity('user_collection')
export class UserCollectionEntity {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'user_collection_pkey' })
  uid!: number;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'user_collection_pkey' })
  collection!: string;

  /** Hundredths of a second since 1970; only ever grows. */
  @Column('bigint')
  modified!: number;

  /** Of all payloads, counted in the transaction of each write. */
  @Column('bigint')
  bytes!: number;

  /** Reads as if it did not exist. */
  @Column('boolean')
  deleted!: boolean;

  /** While the store is held: a trigger then asks how. */
  @Column('boolean', { default: false })
  frozen!: boolean;
}
