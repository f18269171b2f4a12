import { Column, Entity, PrimaryColumn } from 'typeorm';

/** What one user publishes in one app, version by version. Never overwritten. */
@Entity('key_list')
export class KeyListEntity {
  @PrimaryColumn('text')
  uid!: string;

  @PrimaryColumn('text', { name: 'client_id' })
  clientId!: string;

  @PrimaryColumn('integer')
  ver!: number;

  /** The compact JWS, byte for byte. */
  @Column('text')
  skl!: string;

  /** Private keys by kid, each as the JSON text of a JWE that only the owner opens. */
  @Column('jsonb')
  wrapped!: Record<string, string>;

  @Column('timestamptz', { name: 'published_at' })
  publishedAt!: Date;
}
