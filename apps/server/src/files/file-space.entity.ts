import { Column, Entity, PrimaryColumn } from 'typeorm';

/** All files of one account in one app: what its quota is counted on, and what its writers lock. */
@Entity('file_space')
export class FileSpaceEntity {
  @PrimaryColumn('text')
  root!: string;

  @PrimaryColumn('text', { name: 'client_id' })
  clientId!: string;

  /** Bytes of all files together. */
  @Column('bigint')
  live!: number;
}
