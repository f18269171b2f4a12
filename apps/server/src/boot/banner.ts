import { join } from 'node:path';
import { Logger } from '@nestjs/common';
import { budgetsInWords } from '../platform/budgets.ts';
import { type Config, isLoopback } from '../platform/config.ts';
import type { Logs } from './logs.ts';

const policies = {
  open: 'open to everybody',
  invite: 'by invitation (npx lockstep invite <address>)',
  'allow-list': 'for the addresses and domains of SIGN_UP_ALLOWED, and by invitation',
  closed: 'closed',
};

const BELOW_A_PATH =
  'PUBLIC_URL has a path: storage and tokens work below it, sign-in pages and pairing do not';

const NOT_REACHED =
  'HOST lets others in, but PUBLIC_URL is of this machine alone: mailed links will not work for them';

const roles = {
  all: 'everything',
  front: 'the front: everything but storage',
  storage: 'a storage node',
};

/** Says, once the server answers, what an operator wants to know first. */
export function announce(about: {
  config: Config;
  /** How the embedded PostgreSQL runs; undefined when DATABASE_URL names another. */
  postgresHow: string | undefined;
  logs: Logs;
  /** The operator's own invitation, at the first boot of a server that is not open. */
  invitation: string | undefined;
}): void {
  const { config, postgresHow, logs, invitation } = about;
  const facts = {
    address: config.publicUrl.href.replace(/\/$/, ''),
    role: roles[config.role],
    data: config.dataDir,
    database:
      postgresHow === undefined
        ? `DATABASE_URL, ${new URL(config.databaseUrl ?? '').host}`
        : `embedded PostgreSQL, the default (running ${postgresHow}); set DATABASE_URL for your own`,
    mail:
      config.smtp === undefined
        ? `files in ${join(config.dataDir, 'mail')}; set SMTP_URL for a mail server`
        : `sent by ${new URL(config.smtp.url).host}`,
    signUp: policies[config.signUp],
    limits: limitsInWords(config),
    ...warningOf(config),
    next: config.signUp === 'invite' ? 'npx lockstep invite <address>' : 'npm run demo',
  };
  // Said once, on standard output alone: the log is kept, and an invitation is a secret.
  if (invitation !== undefined) {
    process.stdout.write(
      `First boot: your invitation, good once and for 7 days, is ${invitation}\n` +
        `Type it at ${facts.address}/signup, or:\n` +
        `  npx lockstep --url ${facts.address} sign-up <address> --invitation ${invitation}\n`,
    );
  }
  if (logs.isJson) {
    new Logger('boot').log({ event: 'listening', ...facts });
    return;
  }
  const lines = [
    '',
    `  Lockstep serves ${facts.address}`,
    '',
    ...(config.role === 'all' ? [] : [`  role      ${facts.role}`]),
    `  data      ${facts.data}`,
    `  database  ${facts.database}`,
    `  mail      ${facts.mail}`,
    `  sign-up   ${facts.signUp}`,
    ...facts.limits.map((limit, i) => `  ${i === 0 ? 'limits' : '      '}    ${limit}`),
    ...(facts.warning === undefined ? [] : ['', `  ${facts.warning}`]),
    '',
    `  Try next: ${facts.next}      Stop: Ctrl-C`,
    '',
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function warningOf({ host, publicUrl }: Config): { warning?: string } {
  if (publicUrl.pathname !== '/') return { warning: BELOW_A_PATH };
  if (!isLoopback(host) && isLoopback(publicUrl.hostname)) return { warning: NOT_REACHED };
  return {};
}

/** The limits in force, each in one phrase; every one is a variable of `.env.example`. */
function limitsInWords({ limits }: Config): string[] {
  return [
    `a file up to ${size(limits.filesFileBytesMax)}, ${size(limits.filesQuotaBytes)} of files per account and app`,
    `a record up to ${size(limits.storagePayloadBytesMax)}, ${size(limits.storageQuotaBytes)} of records per collection`,
    `a store up to ${limits.storageUserQuotaBytes === undefined ? 'any size' : size(limits.storageUserQuotaBytes)}; a batch up to ${limits.storageTotalRecordsMax} records or ${size(limits.storageTotalBytesMax)}, within ${time(limits.storageBatchSeconds)}`,
    `${limits.storagePostRecordsMax} records or ${size(limits.storagePostBytesMax)} per upload, ${size(limits.storageRequestBytesMax)} per storage request, ${limits.storagePageRecordsMax} records or ${size(limits.storagePageBytesMax)} per page`,
    `Storage 1.1: a record up to ${size(limits.legacyPayloadBytesMax)}, ${size(limits.legacyPostBytesMax)} per upload`,
    `${size(limits.bodyBytesMax)} per request to any other API`,
    `storage tokens live ${time(limits.storageTokenSeconds)}, clocks may differ by ${time(limits.hawkSkewSeconds)}`,
    `${limits.scryptConcurrency} password checks at a time; a password and a second factor count as just given for ${time(limits.stepUpSeconds)}`,
    `pairing: ${limits.pairingChannelsMax} channels of ${time(limits.pairingChannelSeconds)}, ${limits.pairingExchangesMax} messages up to ${size(limits.pairingMessageBytesMax)} in each; ${time(limits.pairingIdleSeconds)} of silence`,
    `budgets: ${budgetsInWords(limits.budgets, time)}`,
  ];
}

/** 2097152 → `2 MiB`, 2625536 → `2.5 MiB`. */
function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${Math.round(value * 10) / 10} ${units[unit] ?? ''}`;
}

function time(seconds: number): string {
  for (const [name, length] of [
    ['hour', 3600],
    ['minute', 60],
  ] as const) {
    if (seconds % length === 0) {
      return `${seconds / length} ${name}${seconds === length ? '' : 's'}`;
    }
  }
  return `${seconds} seconds`;
}
