import { readFileSync } from 'node:fs';
import { type BlockList, isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';
import { BudgetList } from './budgets.ts';
import { proxyList } from './visitor.ts';

const bytes = (fallback: number) => z.coerce.number().int().min(1).default(fallback);
const seconds = bytes;

/** `clients=-1814400,tabs=60-`: least and longest lifetime in seconds, either may be left out. */
const TtlBounds = z
  .string()
  .default('')
  .transform((text, context) => {
    const bounds = new Map<string, { min?: number; max?: number }>();
    for (const part of text.split(',').filter((piece) => piece.trim() !== '')) {
      const [, name, least, longest] =
        /^([A-Za-z0-9._-]{1,32})=(\d{1,9})?-(\d{1,9})?$/.exec(part.trim()) ?? [];
      const min = least === undefined ? undefined : Number(least);
      const max = longest === undefined ? undefined : Number(longest);
      if (name === undefined || (min ?? 0) > (max ?? Infinity)) {
        context.addIssue({
          code: 'custom',
          message: `${part} is no <collection>=<least>-<longest>`,
        });
        continue;
      }
      bounds.set(name, { ...(min !== undefined && { min }), ...(max !== undefined && { max }) });
    }
    return bounds;
  });

/** `alice@example.org,@example.com` */
const Allowed = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )
  .refine((parts) => parts.every((part) => /^[^\s@]*@[^\s@]+$/.test(part)), {
    message: 'each is an address, or @ and a domain',
  });

/** Names and addresses of hosts, in lower case. */
const Hosts = z
  .string()
  .default('')
  .transform(
    (text): ReadonlySet<string> =>
      new Set(
        text
          .toLowerCase()
          .split(',')
          .map((host) => host.trim())
          .filter((host) => host !== ''),
      ),
  );

/** `Name <address>`, or the address alone. */
const Sender = z
  .string()
  .regex(
    /^(?:[^\p{C}<>"@]{1,64} )?<[^\s<>,;"@]{1,64}@[^\s<>,;"@]{1,255}>$|^[^\s<>,;"@]{1,64}@[^\s<>,;"@]{1,255}$/u,
    {
      message: 'must be an address, or Name <address>',
    },
  )
  .transform((text) => {
    const [, name = '', address = text] = /^(.*?) ?<(.*)>$/.exec(text) ?? [];
    return { name, address };
  });

/** Addresses and networks, `10.0.0.1,fd00::/8`. */
const Proxies = z
  .string()
  .default('')
  .transform((text, context) => {
    try {
      return proxyList(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });

/** Every variable, with its default. `.env.example` lists them with a sentence each. */
export const Environment = z.object({
  LOCKSTEP_ROLE: z.enum(['all', 'front', 'storage']).default('all'),
  FRONT_URL: z.url({ protocol: /^https?$/ }).optional(),
  NODE_CAPACITY: bytes(100_000),
  HOST: z.string().min(1).default('localhost'),
  PORT: z.coerce.number().int().min(1).max(65_535).default(8000),
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  DATA_DIR: z.string().min(1).default('./data'),
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  DATABASE_CONNECTIONS: z.coerce.number().int().min(2).max(200).default(10),
  LOG_FORMAT: z.enum(['json', 'text']).optional(),
  SIGN_UP: z.enum(['open', 'invite', 'allow-list', 'closed']).optional(),
  SIGN_UP_ALLOWED: Allowed,
  SYNC_MASTER_SECRET: z
    .string()
    .refine((list) => list.split(',').every((secret) => secret.trim().length >= 32), {
      message: 'each secret has 32 characters or more',
    })
    .optional(),
  FACTORS_SECRET: z
    .string()
    .refine((list) => list.split(',').every((secret) => secret.trim().length >= 32), {
      message: 'each secret has 32 characters or more',
    })
    .optional(),
  SCRYPT_CONCURRENCY: z.coerce.number().int().min(1).max(16).default(2),
  SCRYPT_WAITING_MAX: z.coerce.number().int().min(0).max(10_000).default(512),
  SMTP_URL: z.url({ protocol: /^smtps?$/ }).optional(),
  SMTP_TLS: z.enum(['required', 'optional']).optional(),
  MAIL_FROM: Sender.optional(),
  TRUSTED_PROXIES: Proxies,
  BUDGETS: BudgetList,
  APP_REGISTRATION: z.enum(['operator', 'anyone']).default('operator'),
  STORAGE_NEW_USERS: z.enum(['open', 'closed']).default('open'),
  // A node remembers for a week that a store left it: a token that lives longer would open it again.
  STORAGE_TOKEN_SECONDS: z.coerce.number().int().min(1).max(518_400).default(3600),
  STORAGE_REQUEST_BYTES_MAX: bytes(2_625_536),
  STORAGE_PAYLOAD_BYTES_MAX: bytes(2_097_152),
  STORAGE_POST_RECORDS_MAX: bytes(100),
  STORAGE_POST_BYTES_MAX: bytes(2_097_152),
  STORAGE_TOTAL_RECORDS_MAX: bytes(10_000),
  STORAGE_TOTAL_BYTES_MAX: bytes(209_715_200),
  STORAGE_BATCH_SECONDS: seconds(7200),
  STORAGE_QUOTA_BYTES: bytes(2_147_483_648),
  STORAGE_USER_QUOTA_BYTES: z.coerce.number().int().min(1).optional(),
  STORAGE_PAGE_RECORDS_MAX: bytes(10_000),
  STORAGE_PAGE_BYTES_MAX: bytes(33_554_432),
  STORAGE_TTL_BOUNDS: TtlBounds,
  STORAGE_PURGE_SECONDS: seconds(3600),
  STORAGE_IDLE_SECONDS: z.coerce.number().int().min(1).max(86_400).default(60),
  STORAGE_BACKOFF_SECONDS: z.coerce.number().int().min(1).optional(),
  STORAGE_ALERT: z
    .string()
    .regex(/^[ -~]*$/)
    .optional(),
  LEGACY_PAYLOAD_BYTES_MAX: bytes(262_144),
  LEGACY_POST_BYTES_MAX: bytes(1_048_576),
  FILES_FILE_BYTES_MAX: bytes(5_368_709_120),
  FILES_QUOTA_BYTES: bytes(21_474_836_480),
  FILES_IDLE_SECONDS: seconds(60),
  PUSH_HOSTS_ALLOWED: Hosts,
  APP_HOSTS_ALLOWED: Hosts,
  BODY_BYTES_MAX: bytes(131_072),
  HAWK_SKEW_SECONDS: seconds(60),
  STEP_UP_SECONDS: z.coerce.number().int().min(30).max(86_400).default(300),
  PAIRING_CHANNELS_MAX: bytes(1000),
  PAIRING_CHANNEL_SECONDS: seconds(300),
  PAIRING_EXCHANGES_MAX: bytes(20),
  PAIRING_MESSAGE_BYTES_MAX: z.coerce.number().int().min(1).max(16_777_216).default(32_768),
  PAIRING_IDLE_SECONDS: seconds(60),
  PAIRING_PING_SECONDS: z.coerce.number().int().min(1).max(3600).default(5),
});
type Environment = z.infer<typeof Environment>;

/** Also accepted as NAME_FILE: the path of a file that holds the value. */
const secrets = ['DATABASE_URL', 'SYNC_MASTER_SECRET', 'FACTORS_SECRET', 'SMTP_URL'] as const;

/** Everything the server learns from its environment, read once at boot. */
export class Config {
  private constructor(
    /** `front`: everything but storage. `storage`: a node, which knows no accounts. */
    readonly role: 'all' | 'front' | 'storage',
    /** Of the front that a node belongs to, without a trailing slash. */
    readonly frontUrl: string | undefined,
    /** Stores that a node is made for. */
    readonly nodeCapacity: number,
    readonly host: string,
    readonly port: number,
    /** Without a trailing slash in `href` uses; see {@link Config.at}. */
    readonly publicUrl: URL,
    readonly dataDir: string,
    /** Undefined for the embedded default. */
    readonly databaseUrl: string | undefined,
    readonly databaseConnections: number,
    readonly logFormat: 'json' | 'text' | undefined,
    readonly signUp: 'open' | 'invite' | 'allow-list' | 'closed',
    /** `name@domain` or `@domain`, for `allow-list`. */
    readonly signUpAllowed: readonly string[],
    /** With commas, the newest last. Undefined: the server makes one at first boot and keeps it. */
    readonly syncMasterSecret: string | undefined,
    /** The newest last. Empty: second factors are kept under a key that the server made for itself. */
    readonly factorsSecrets: readonly string[],
    /** Whether accounts that have no store yet get one. */
    readonly newStores: 'open' | 'closed',
    /** Who may register apps on the pages. */
    readonly appRegistration: 'operator' | 'anyone',
    /** Undefined: mail is written to the data folder. */
    readonly smtp: { url: string; requireTls: boolean } | undefined,
    /** Whom mail is from. */
    readonly mailFrom: { name: string; address: string },
    /** Whose X-Forwarded-For is believed. */
    readonly trustedProxies: BlockList,
    readonly limits: Limits,
  ) {}

  /** @throws Error that names every variable that is missing or malformed */
  static from(environment: Readonly<Record<string, string | undefined>>): Config {
    const { values, mistakes } = withSecretFiles(environment);
    const { success, data: env, error } = Environment.safeParse(values);
    for (const { path, message } of error?.issues ?? []) {
      mistakes.push(`${path.join('.')}: ${message}`);
    }
    if (success && env.LOCKSTEP_ROLE !== 'all' && env.SYNC_MASTER_SECRET === undefined) {
      mistakes.push('SYNC_MASTER_SECRET: needed when LOCKSTEP_ROLE is front or storage');
    }
    if (success && env.SIGN_UP === 'allow-list' && env.SIGN_UP_ALLOWED.length === 0) {
      mistakes.push('SIGN_UP_ALLOWED: needed when SIGN_UP is allow-list');
    }
    if (!success || mistakes.length > 0) {
      throw new Error(`Bad configuration. ${mistakes.join('. ')}.`);
    }

    const publicUrl = new URL(env.PUBLIC_URL ?? `http://localhost:${env.PORT}`);
    const isLocal = isLoopback(env.HOST) && isLoopback(publicUrl.hostname);
    return new Config(
      env.LOCKSTEP_ROLE,
      env.FRONT_URL?.replace(/\/$/, ''),
      env.NODE_CAPACITY,
      env.HOST,
      env.PORT,
      publicUrl,
      resolve(env.DATA_DIR),
      env.DATABASE_URL,
      env.DATABASE_CONNECTIONS,
      env.LOG_FORMAT,
      env.SIGN_UP ?? (isLocal ? 'open' : 'invite'),
      env.SIGN_UP_ALLOWED,
      env.SYNC_MASTER_SECRET,
      env.FACTORS_SECRET?.split(',').map((secret) => secret.trim()) ?? [],
      env.STORAGE_NEW_USERS,
      env.APP_REGISTRATION,
      smtpOf(env),
      env.MAIL_FROM ?? { name: 'Lockstep', address: `no-reply@${publicUrl.hostname}` },
      env.TRUSTED_PROXIES,
      limitsOf(env),
    );
  }

  /** Where this process reaches itself, without a trailing slash: no proxy and no public name. */
  get internalUrl(): string {
    const host = { '0.0.0.0': '127.0.0.1', '::': '::1' }[this.host] ?? this.host;
    return `http://${isIP(host) === 6 ? `[${host}]` : host}:${this.port}`;
  }

  /** The public address of a path: PUBLIC_URL, with whatever prefix it has, and the path. */
  at(path: string): string {
    return this.publicUrl.href.replace(/\/$/, '') + path;
  }
}

/** Beyond this machine, a code is not sent in the clear unless the operator says so. */
function smtpOf({ SMTP_URL: url, SMTP_TLS: tls }: Environment) {
  if (url === undefined) return undefined;
  const isNear = isLoopback(new URL(url).hostname);
  return { url, requireTls: tls === undefined ? !isNear : tls === 'required' };
}

/** Sizes in bytes, times in seconds; printed at boot and advertised by each API. */
export type Limits = ReturnType<typeof limitsOf>;

function limitsOf(env: Environment) {
  return {
    scryptConcurrency: env.SCRYPT_CONCURRENCY,
    /** Password checks in line; who comes then is told when to come back. */
    scryptWaitingMax: env.SCRYPT_WAITING_MAX,
    storageTokenSeconds: env.STORAGE_TOKEN_SECONDS,
    storageRequestBytesMax: env.STORAGE_REQUEST_BYTES_MAX,
    storagePayloadBytesMax: env.STORAGE_PAYLOAD_BYTES_MAX,
    storagePostRecordsMax: env.STORAGE_POST_RECORDS_MAX,
    storagePostBytesMax: env.STORAGE_POST_BYTES_MAX,
    /** Of one batch upload. */
    storageTotalRecordsMax: env.STORAGE_TOTAL_RECORDS_MAX,
    storageTotalBytesMax: env.STORAGE_TOTAL_BYTES_MAX,
    /** From its beginning to its commit. */
    storageBatchSeconds: env.STORAGE_BATCH_SECONDS,
    /** Per collection. */
    storageQuotaBytes: env.STORAGE_QUOTA_BYTES,
    /** Per store; undefined for none. */
    storageUserQuotaBytes: env.STORAGE_USER_QUOTA_BYTES,
    storagePageRecordsMax: env.STORAGE_PAGE_RECORDS_MAX,
    /** A page ends with the payload that reaches it. */
    storagePageBytesMax: env.STORAGE_PAGE_BYTES_MAX,
    /** By collection, in seconds; a record without a lifetime gets the longest, if there is one. */
    storageTtlBounds: env.STORAGE_TTL_BOUNDS,
    /** Between two purges of what expired. */
    storagePurgeSeconds: env.STORAGE_PURGE_SECONDS,
    storageIdleSeconds: env.STORAGE_IDLE_SECONDS,
    /** What every storage client is asked to wait before it comes again; undefined for nothing. */
    storageBackoffSeconds: env.STORAGE_BACKOFF_SECONDS,
    /** What every storage client is told to show, printable ASCII. */
    storageAlert: env.STORAGE_ALERT,
    /** Of Storage 1.1. */
    legacyPayloadBytesMax: env.LEGACY_PAYLOAD_BYTES_MAX,
    legacyPostBytesMax: env.LEGACY_POST_BYTES_MAX,
    filesFileBytesMax: env.FILES_FILE_BYTES_MAX,
    /** Per account and app. */
    filesQuotaBytes: env.FILES_QUOTA_BYTES,
    /** After which an upload that stands still is broken off. */
    filesIdleSeconds: env.FILES_IDLE_SECONDS,
    /** Hosts of push services that may be inside the network, in lower case. */
    pushHostsAllowed: env.PUSH_HOSTS_ALLOWED,
    /** Hosts of apps that may be inside the network, in lower case. */
    appHostsAllowed: env.APP_HOSTS_ALLOWED,
    /** JSON bodies of every API but storage and files. */
    bodyBytesMax: env.BODY_BYTES_MAX,
    hawkSkewSeconds: env.HAWK_SKEW_SECONDS,
    /** How long a password and a second factor count as just given. */
    stepUpSeconds: env.STEP_UP_SECONDS,
    /** Open at a time, in one process. */
    pairingChannelsMax: env.PAIRING_CHANNELS_MAX,
    /** After which a channel ends, whatever goes on in it. */
    pairingChannelSeconds: env.PAIRING_CHANNEL_SECONDS,
    /** Messages through one channel, both directions together. */
    pairingExchangesMax: env.PAIRING_EXCHANGES_MAX,
    pairingMessageBytesMax: env.PAIRING_MESSAGE_BYTES_MAX,
    /** After which an end that is not heard of counts as gone. */
    pairingIdleSeconds: env.PAIRING_IDLE_SECONDS,
    /** Between two questions whether an end is there. */
    pairingPingSeconds: env.PAIRING_PING_SECONDS,
    /** What each client and account may do how often; undefined for no limit. */
    budgets: env.BUDGETS,
  } as const;
}

function withSecretFiles(environment: Readonly<Record<string, string | undefined>>) {
  const values = { ...environment };
  const mistakes: string[] = [];
  for (const name of secrets) {
    const path = environment[`${name}_FILE`];
    if (path === undefined || path === '') continue;
    if ((environment[name] ?? '') !== '') {
      mistakes.push(`${name}: set it or ${name}_FILE, not both`);
      continue;
    }
    try {
      values[name] = readFileSync(path, 'utf8').trim();
    } catch {
      mistakes.push(`${name}_FILE: names a file that cannot be read`);
    }
  }
  // An empty variable, as a compose file leaves behind, is one that was not set.
  for (const [name, value] of Object.entries(values)) if (value === '') values[name] = undefined;
  return { values, mistakes };
}

/** Whether a host name or address can only be reached from this machine. */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[|\]$/g, '');
  return (
    name === 'localhost' ||
    name.endsWith('.localhost') ||
    name === '::1' ||
    (isIP(name) === 4 && name.startsWith('127.'))
  );
}
