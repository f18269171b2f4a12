import { Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';

/**
 * A user of Storage 1.1 on this node. The store is never one of 1.5: its clients have another key,
 * and each version would take the other's records for damage.
 */
@Entity('legacy_user')
@Unique('legacy_user_name', ['username'])
export class LegacyUserEntity {
  /** The store's uid is its negative, which no token can name. */
  @PrimaryGeneratedColumn({ type: 'bigint', primaryKeyConstraintName: 'legacy_user_pkey' })
  id!: number;

  /** Lower case; for a mail address its hash. */
  @Column('text')
  username!: string;

  /** Of the app password. Null: it was revoked. */
  @Column('text', { nullable: true })
  hash!: string | null;
}
