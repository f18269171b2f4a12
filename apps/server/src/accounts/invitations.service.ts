import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { Email, Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';

/** 7 days. */
const LIFE_SECONDS = 7 * 86_400;

/** Leave to sign up. Whoever redeems one has a verified address: the operator vouches for it. */
@Injectable()
export class InvitationsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Makes an invitation for one address: good once, for 7 days.
   *
   * @returns 16 random bytes, base64url; the database keeps their SHA-256
   * @throws Failure `invalid-parameter` when it is not an address
   */
  async invite(email: string): Promise<string> {
    const address = Email.safeParse(email);
    if (!address.success) throw new Failure('invalid-parameter', 'That is not an e-mail address.');
    return this.add(address.data.toLowerCase());
  }

  /**
   * One invitation for the operator, when sign-up needs one and nobody was let in or invited yet.
   *
   * It is bound to no address, because the operator's is not known, and so it verifies whichever
   * address redeems it: it is for the eyes of who starts the server.
   */
  async firstBoot(): Promise<string | undefined> {
    if (this.config.signUp !== 'invite') return undefined;
    const [{ used } = { used: true }] = await this.db.query<{ used: boolean }[]>(
      `SELECT EXISTS (SELECT 1 FROM account)
           OR EXISTS (SELECT 1 FROM invitation WHERE expires_at > $1) AS used`,
      [this.clock.now()],
    );
    return used ? undefined : this.add(null);
  }

  /** Whether an invitation would be accepted; a look before long work, not a decision. */
  async isOpen(invitation: string, email: string): Promise<boolean> {
    const rows = await this.db.query<unknown[]>(
      `SELECT 1 FROM invitation WHERE id = $1 AND expires_at > $3
         AND (normal_email = $2 OR normal_email IS NULL)`,
      [hash(invitation), email.toLowerCase(), this.clock.now()],
    );
    return rows.length > 0;
  }

  /** Uses an invitation up. Of two who race for it, one gets true. */
  async redeem(tx: EntityManager, invitation: string, email: string): Promise<boolean> {
    const [rows] = await tx.query<[unknown[], number]>(
      `DELETE FROM invitation WHERE id = $1 AND expires_at > $3
         AND (normal_email = $2 OR normal_email IS NULL) RETURNING id`,
      [hash(invitation), email.toLowerCase(), this.clock.now()],
    );
    return rows.length > 0;
  }

  private async add(normalEmail: string | null): Promise<string> {
    const invitation = randomBytes(16).toString('base64url');
    const now = this.clock.now();
    await this.db.query(`DELETE FROM invitation WHERE expires_at <= $1`, [now]);
    await this.db.query(
      `INSERT INTO invitation (id, normal_email, expires_at) VALUES ($1, $2, $3)`,
      [hash(invitation), normalEmail, new Date(now.getTime() + LIFE_SECONDS * 1000)],
    );
    return invitation;
  }
}

const hash = (invitation: string) => createHash('sha256').update(invitation).digest('base64url');
