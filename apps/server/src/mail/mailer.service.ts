import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { Email } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { DeliveryService } from './delivery.service.ts';
import type { MailContent, MailKind } from './letters.ts';

/**
 * Mails people. What is to be mailed is written into the database first, and sent from there: no
 * request waits for a mail server, and none fails because one is away.
 */
@Injectable()
export class MailerService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly delivery: DeliveryService,
  ) {}

  /**
   * @param to - undefined for an address that nobody has here: the same is done, and nothing mailed
   * @param tx - of the change that the mail tells of; call {@link MailerService.hurry} after it
   */
  async send<Kind extends MailKind>(
    kind: Kind,
    to: string | undefined,
    content: MailContent[Kind],
    tx?: EntityManager,
  ): Promise<void> {
    // Checked at sign-up, too. Here it keeps whatever is stored out of the head of a message.
    if (to !== undefined && !Email.safeParse(to).success) throw new Error('That is no address.');
    await (tx ?? this.db).query(
      `INSERT INTO mail (kind, address, content, tries, next_try_at, created_at)
       SELECT $1, $2::text, $3, 0, $4, $4 WHERE $2::text IS NOT NULL`,
      [kind, to ?? null, JSON.stringify(content), this.clock.now()],
    );
    if (!tx) this.hurry();
  }

  /** Sends what waits, now. */
  hurry(): void {
    this.delivery.hurry();
  }

  /** Resolves when everything that could be sent has been. */
  settled(): Promise<void> {
    return this.delivery.settled();
  }
}
