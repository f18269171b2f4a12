import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A file as it now stands, and where its ciphertext is. */
@Entity('file')
@Index('file_blob_id', ['blobId'], { unique: true })
export class FileEntity {
  /** The uid of the account it belongs to. */
  @PrimaryColumn('text')
  root!: string;

  @PrimaryColumn('text', { name: 'client_id' })
  clientId!: string;

  @PrimaryColumn('text')
  id!: string;

  @Column('text')
  version!: string;

  @Column('text', { name: 'blob_id' })
  blobId!: string;

  /** Bytes. */
  @Column('bigint')
  size!: number;

  /** base64url. */
  @Column('text')
  sha256!: string;

  @Column('timestamptz', { name: 'modified_at' })
  modifiedAt!: Date;
}
