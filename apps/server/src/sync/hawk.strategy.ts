import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { z } from 'zod';
import {
  deriveTokenKey,
  hawkPayloadString,
  hawkString,
  openToken,
  parseHawkHeader,
} from '#lib/crypto';
import { Failure, type StorageAccess } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { SeenRequests } from '../platform/seen-requests.ts';
import type { StorageRequest } from './raw-requests.ts';

/** Whose records a request may touch, and how. */
export interface StorageUser {
  uid: number;
  access: StorageAccess | undefined;
}

/** What we need of a token; the rest of it is for the token server's logs. */
const TokenPayload = z.object({
  uid: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  node: z.string(),
  expires: z.number(),
  access: z.enum(['app', 'deposit', 'read']).optional(),
});

interface Credentials {
  token: z.infer<typeof TokenPayload>;
  key: Buffer;
}

/** Tokens whose key is kept: about 1 KiB each. */
const CREDENTIALS_MAX = 5000;
/** How long after its end a token may still ask what there is; a client then knows to renew it. */
const GRACE_SECONDS = 7200;

/**
 * Hawk with a token of the token server: the token is the id, and itself says whose store it is
 * for. It stands on the shared secret alone, and on no other table.
 *
 * @see Storage API 1.5, "Authentication"
 */
@Injectable()
export class HawkStrategy extends PassportStrategy(Strategy, 'storage-hawk') {
  private readonly credentials = new Map<string, Credentials>();
  private readonly seen: SeenRequests;
  private readonly node: string;

  constructor(
    private readonly config: Config,
    private readonly settings: SettingsService,
    private readonly clock: Clock,
  ) {
    super();
    this.node = config.at('');
    this.seen = new SeenRequests(2 * config.limits.hawkSkewSeconds);
  }

  /** @throws Failure `unauthenticated`, with the reason for the log */
  async validate(request: StorageRequest): Promise<StorageUser> {
    const hawk = parseHawkHeader(request.headers.authorization ?? '');
    if (!hawk) throw refused('there is no well-formed Hawk header');
    const { token, key } = await this.open(hawk.id);

    const artifacts = { ...hawk, ...this.target(request) };
    const mac = createHmac('sha256', key).update(hawkString('header', artifacts)).digest();
    if (!isSame(mac, hawk.mac)) throw refused('the MAC is wrong');
    if (hawk.hash !== undefined) {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      const payload = hawkPayloadString(request.sentType ?? '', body);
      if (!isSame(createHash('sha256').update(payload).digest(), hawk.hash)) {
        throw refused('the payload hash is wrong');
      }
    }

    const now = this.clock.seconds();
    if (Math.abs(now - hawk.ts) > this.config.limits.hawkSkewSeconds) {
      throw refused(`the timestamp is ${now - hawk.ts} s off`);
    }
    if (token.expires <= now && !isGrace(request, now - token.expires)) {
      throw refused('the token is expired');
    }
    if (token.node !== this.node) throw refused('the token is for another node');
    const { uid } = request.params as { uid?: string };
    if (uid !== String(token.uid)) throw refused('the token is for another user');
    // Browsers repeat what is idempotent, unchanged.
    if (request.method === 'POST' && !this.seen.add(mac.toString('base64'), now)) {
      throw refused('the request was made before');
    }
    return { uid: token.uid, access: token.access };
  }

  /** Method and address as the client wrote them, so before any proxy or decoding. */
  private target({ method, raw }: StorageRequest) {
    const { protocol, hostname, port, pathname } = this.config.publicUrl;
    return {
      method,
      path: pathname.replace(/\/$/, '') + (raw.url ?? ''),
      host: hostname,
      port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    };
  }

  private async open(id: string): Promise<Credentials> {
    const known = this.credentials.get(id);
    if (known) {
      this.credentials.delete(id); // and back in as the youngest
      this.credentials.set(id, known);
      return known;
    }
    const secrets = await this.settings.syncSecrets();
    for (const secret of secrets.toReversed()) {
      const payload = openToken([secret], id);
      if (!payload) continue;
      const { success, data: token } = TokenPayload.safeParse(payload);
      if (!success || typeof payload['salt'] !== 'string') throw refused('the token is malformed');
      const opened = { token, key: Buffer.from(deriveTokenKey(secret, id)) };
      this.credentials.set(id, opened);
      const oldest = this.credentials.keys().next().value;
      if (this.credentials.size > CREDENTIALS_MAX && oldest !== undefined) {
        this.credentials.delete(oldest);
      }
      return opened;
    }
    throw refused('no secret of ours signed the token');
  }
}

function isGrace(request: StorageRequest, secondsOver: number): boolean {
  const path = request.routeOptions.url ?? '';
  return (
    request.method === 'GET' && path.endsWith('/info/collections') && secondsOver < GRACE_SECONDS
  );
}

function isSame(expected: Buffer, base64: string): boolean {
  const given = Buffer.from(base64, 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

const refused = (why: string) => new Failure('unauthenticated', `Hawk: ${why}.`);
