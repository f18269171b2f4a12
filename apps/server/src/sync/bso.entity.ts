import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A record, as opaque text: the server can open none. */
@Entity('bso')
@Index('bso_modified', ['uid', 'collection', 'modified', 'id'])
@Index('bso_expires', ['expires'], { where: 'expires IS NOT NULL' })
export class BsoEntity {
  @PrimaryColumn('bigint', { primaryKeyConstraintName: 'bso_pkey' })
  uid!: number;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'bso_pkey' })
  collection!: string;

  @PrimaryColumn('text', { primaryKeyConstraintName: 'bso_pkey' })
  id!: string;

  /** Hundredths of a second since 1970. */
  @Column('bigint')
  modified!: number;

  @Column('integer', { nullable: true })
  sortindex!: number | null;

  @Column('text')
  payload!: string;

  /** Of the payload in UTF-8. */
  @Column('integer')
  bytes!: number;

  /** Hundredths of a second since 1970; hidden from then on. Null: never. */
  @Column('bigint', { nullable: true })
  expires!: number | null;

  /** Of Storage 1.1 alone. */
  @Column('text', { nullable: true })
  parentid!: string | null;

  /** Of Storage 1.1 alone. */
  @Column('text', { nullable: true })
  predecessorid!: string | null;
}
