import { randomBytes } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { createTransport } from 'nodemailer';
import type { Config } from '../platform/config.ts';
import type { Letter } from './letters.ts';

const CONNECT_MS = 10_000;
const SILENCE_MS = 30_000;

/** A {@link Letter} to somebody. */
export interface Mail extends Letter {
  to: string;
  date: Date;
}

/** Where mail goes to. */
export interface Post {
  /** @throws what went wrong; with `responseCode` when a mail server said no */
  send(mail: Mail): Promise<void>;
  /** Breaks off what is under way. */
  close(): void;
}

/** A mail server when SMTP_URL names one, otherwise the data folder. */
export const openPost = (config: Config): Post =>
  config.smtp === undefined ? openFolder(config) : openSmtp(config.smtp, config);

/**
 * Writes mail to `<DATA_DIR>/mail`, one file per message, for whoever runs the server. The folder is
 * the owner's alone, and no name in it holds an address.
 */
function openFolder(config: Config): Post {
  const logger = new Logger('mail');
  const composer = createTransport({ streamTransport: true, buffer: true });
  const folder = join(config.dataDir, 'mail');
  return {
    async send(mail) {
      const { message } = await composer.sendMail({
        ...messageOf(mail, config),
        // Somebody copies code and link out of the file, with an editor.
        text: asItIs('text/plain', mail.text),
        html: asItIs('text/html', mail.html),
      });
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const time = mail.date.toISOString().replaceAll(/[:.]/g, '-');
      const path = join(folder, `${time}-${randomBytes(6).toString('hex')}.eml`);
      // A reader never meets half a message: the name appears when the file is whole.
      await writeFile(`${path}.part`, message as Buffer, { mode: 0o600, flag: 'wx' });
      await rename(`${path}.part`, path);
      logger.log({ event: 'mail-written', path });
      // The log is kept and may be read by others; a terminal is the operator's own.
      if (process.stdout.isTTY && mail.link !== undefined) {
        process.stdout.write(`  ${mail.subject}: ${mail.link}\n`);
      }
    },
    close: () => undefined,
  };
}

function openSmtp({ url, requireTls }: NonNullable<Config['smtp']>, config: Config): Post {
  const { protocol, hostname, port, username, password } = new URL(url);
  const transport = createTransport({
    pool: true,
    host: hostname.replace(/^\[|\]$/g, ''),
    ...(port !== '' && { port: Number(port) }),
    secure: protocol === 'smtps:',
    requireTLS: requireTls,
    ...(username !== '' && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    connectionTimeout: CONNECT_MS,
    greetingTimeout: CONNECT_MS,
    dnsTimeout: CONNECT_MS,
    socketTimeout: SILENCE_MS,
    // A message names no file and no address to fetch from.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(mail) {
      await transport.sendMail(messageOf(mail, config));
    },
    close() {
      transport.close({ force: true });
    },
  };
}

/** A part of a message that no line break and no `=3D` is put into. */
const asItIs = (type: string, text: string) => ({
  raw: [
    `Content-Type: ${type}; charset=utf-8`,
    'Content-Transfer-Encoding: 8bit',
    '',
    text.replaceAll('\n', '\r\n'),
  ].join('\r\n'),
});

const messageOf = ({ to, date, subject, text, html, headers }: Mail, config: Config) => ({
  from: config.mailFrom,
  // As an object it is taken for one address, whatever commas or brackets it holds.
  to: { name: '', address: to },
  ...{ subject, text, html, date },
  // Nobody's absence is announced to a machine, and no machine answers this one.
  headers: { ...headers, 'Auto-Submitted': 'auto-generated' },
});
