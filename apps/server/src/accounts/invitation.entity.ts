import { Column, Entity, PrimaryColumn } from 'typeorm';

/** Leave to sign up, for one address, once. */
@Entity('invitation')
export class InvitationEntity {
  /** base64url SHA-256 of the invitation. */
  @PrimaryColumn('text')
  id!: string;

  /** Null for the operator's first one, which is good for any address. */
  @Column('text', { name: 'normal_email', nullable: true })
  normalEmail!: string | null;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt!: Date;
}
