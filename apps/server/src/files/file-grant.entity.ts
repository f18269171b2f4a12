import { Column, Entity, JoinColumn, ManyToOne, PrimaryColumn } from 'typeorm';
import { FileEntity } from './file.entity.ts';

/** Another user of the app who may read a file. */
@Entity('file_grant')
export class FileGrantEntity {
  @PrimaryColumn('text')
  root!: string;

  @PrimaryColumn('text', { name: 'client_id' })
  clientId!: string;

  @PrimaryColumn('text', { name: 'file_id' })
  fileId!: string;

  @PrimaryColumn('text')
  uid!: string;

  /** Null: until it is taken back. */
  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt!: Date | null;

  @ManyToOne(() => FileEntity, { onDelete: 'CASCADE' })
  @JoinColumn([
    {
      name: 'root',
      referencedColumnName: 'root',
      foreignKeyConstraintName: 'file_grant_file_fkey',
    },
    {
      name: 'client_id',
      referencedColumnName: 'clientId',
      foreignKeyConstraintName: 'file_grant_file_fkey',
    },
    {
      name: 'file_id',
      referencedColumnName: 'id',
      foreignKeyConstraintName: 'file_grant_file_fkey',
    },
  ])
  file?: FileEntity;
}
