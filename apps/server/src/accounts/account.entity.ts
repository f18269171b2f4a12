import { Column, Entity, PrimaryColumn, Unique } from 'typeorm';

/** One person: an address, and keys that only their password opens. */
@Entity('account')
@Unique('account_normal_email_key', ['normalEmail'])
export class AccountEntity {
  /** 16 random bytes in hex. */
  @PrimaryColumn('text')
  uid!: string;

  /** Byte for byte as at sign-up; the client stretches the password with it. */
  @Column('text')
  email!: string;

  @Column('text', { name: 'normal_email' })
  normalEmail!: string;

  @Column('bytea', { name: 'auth_salt' })
  authSalt!: Buffer;

  @Column('bytea', { name: 'verify_hash' })
  verifyHash!: Buffer;

  /** kB, wrapped twice: by the server's stretching of authPW, and by a key the server never sees. */
  @Column('bytea', { name: 'wrap_wrap_kb' })
  wrapWrapKb!: Buffer;

  @Column('bytea')
  ka!: Buffer;

  /** Milliseconds since 1970. */
  @Column('bigint', { name: 'keys_changed_at' })
  keysChangedAt!: number;

  @Column('timestamptz', { name: 'verified_at', nullable: true })
  verifiedAt!: Date | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
