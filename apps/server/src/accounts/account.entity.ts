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

  /** Of the verifiers of both stretchings, so that one scrypt tells whether either fits. */
  @Column('bytea', { name: 'auth_salt' })
  authSalt!: Buffer;

  @Column('bytea', { name: 'verify_hash' })
  verifyHash!: Buffer;

  /** kB, wrapped twice: by the server's stretching of authPW, and by a key the server never sees. */
  @Column('bytea', { name: 'wrap_wrap_kb' })
  wrapWrapKb!: Buffer;

  /** What a client stretches with by v2, text; null when the account has v1 alone. */
  @Column('text', { name: 'client_salt', nullable: true })
  clientSalt!: string | null;

  @Column('bytea', { name: 'verify_hash_v2', nullable: true })
  verifyHashV2!: Buffer | null;

  /** The same kB as `wrapWrapKb`, under what v2 stretches to. */
  @Column('bytea', { name: 'wrap_wrap_kb_v2', nullable: true })
  wrapWrapKbV2!: Buffer | null;

  @Column('bytea')
  ka!: Buffer;

  /** Milliseconds since 1970. */
  @Column('bigint', { name: 'keys_changed_at' })
  keysChangedAt!: number;

  /** Milliseconds since 1970: the generation of the password. Larger with each, never before `keysChangedAt`. */
  @Column('bigint', { name: 'verifier_set_at' })
  verifierSetAt!: number;

  @Column('timestamptz', { name: 'verified_at', nullable: true })
  verifiedAt!: Date | null;

  /** Whether there is a second factor: a proven authenticator, or a passkey. */
  @Column('boolean', { name: 'has_factors', default: false })
  hasFactors!: boolean;

  @Column('timestamptz', { name: 'created_at' })
  createdAt!: Date;
}
