import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Injectable, Logger } from '@nestjs/common';
import { createTransport } from 'nodemailer';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';

/** One message in plain text. */
export interface Mail {
  to: string;
  subject: string;
  text: string;
  /** Added to the head of the message; names and values are ours, never a caller's. */
  headers: Readonly<Record<string, string>>;
}

/**
 * Writes mail to `<DATA_DIR>/mail`, one file per message, for whoever runs the server.
 *
 * The folder is the owner's alone, no name in it holds an address, and the log says no more than
 * that a message was written and where.
 */
@Injectable()
export class MailerService {
  private readonly logger = new Logger('mail');
  private readonly composer = createTransport({ streamTransport: true, buffer: true });

  constructor(
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  async send(mail: Mail): Promise<void> {
    const { message } = await this.composer.sendMail({
      from: { name: 'Lockstep', address: `no-reply@${this.config.publicUrl.hostname}` },
      // As an object it is taken for one address, whatever commas or brackets it holds.
      to: { name: '', address: mail.to },
      subject: mail.subject,
      text: mail.text,
      headers: { ...mail.headers },
      date: this.clock.now(),
    });
    const folder = join(this.config.dataDir, 'mail');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const time = this.clock.now().toISOString().replaceAll(/[:.]/g, '-');
    const path = join(folder, `${time}-${randomBytes(6).toString('hex')}.eml`);
    // A reader never meets half a message: the name appears when the file is whole.
    await writeFile(`${path}.part`, message as Buffer, { mode: 0o600, flag: 'wx' });
    await rename(`${path}.part`, path);
    this.logger.log({ event: 'mail-written', path });
  }
}
