import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { hawkPayloadString, hawkString, parseHawkHeader, signHawk } from '#lib/crypto';
import { Failure } from '#lib/protocol';
import { Clock } from './clock.ts';
import { Config } from './config.ts';
import { SeenRequests } from './seen-requests.ts';
import { SettingsService } from './settings.service.ts';

const ID = 'node';
const INFO = 'lockstep/node/v1';

/**
 * Signs and checks what the front and the nodes say to each other: Hawk, with a key derived from the
 * secret that they share, and always with the hash of the body.
 *
 * @see docs/protocol/nodes.md
 */
@Injectable()
export class NodeSignaturesService {
  private readonly seen: SeenRequests;

  constructor(
    private readonly settings: SettingsService,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {
    this.seen = new SeenRequests(2 * config.limits.hawkSkewSeconds);
  }

  /** @returns the Authorization header for a request to a public address */
  async sign(method: string, url: string, contentType: string, body: Uint8Array): Promise<string> {
    const secrets = await this.settings.syncSecrets();
    return signHawk({
      ...{ id: ID, key: keyOf(secrets.at(-1) ?? secrets[0]), method, url },
      ts: this.clock.seconds(),
      nonce: randomBytes(12).toString('base64url'),
      payload: { contentType, body },
    });
  }

  /** @throws Failure `unauthenticated`, `clock-skew`, `replayed` */
  async check(request: FastifyRequest & { rawBody?: Buffer }): Promise<void> {
    const hawk = parseHawkHeader(request.headers.authorization ?? '');
    if (hawk?.id !== ID) throw refused('There is no well-formed signature of a node.');
    const { protocol, hostname, port, pathname } = this.config.publicUrl;
    const artifacts = {
      ...hawk,
      method: request.method,
      path: pathname.replace(/\/$/, '') + (request.raw.url ?? ''),
      host: hostname,
      port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
    };
    const text = hawkString('header', artifacts);
    const secrets = await this.settings.syncSecrets();
    const mac = secrets
      .map((secret) => createHmac('sha256', keyOf(secret)).update(text).digest())
      .find((expected) => isSame(expected, hawk.mac));
    if (!mac) throw refused('The signature is wrong.');
    const payload = hawkPayloadString(
      request.headers['content-type'] ?? '',
      request.rawBody ?? Buffer.alloc(0),
    );
    if (!isSame(createHash('sha256').update(payload).digest(), hawk.hash ?? '')) {
      throw refused('The body is not the one that was signed.');
    }
    const now = this.clock.seconds();
    if (Math.abs(now - hawk.ts) > this.config.limits.hawkSkewSeconds) {
      throw new Failure('clock-skew', `The signature is ${now - hawk.ts} s off.`);
    }
    // Not as it was sent: base64 has several spellings of the same bytes.
    if (!this.seen.add(mac.toString('base64'), now)) {
      throw new Failure('replayed', 'The request was made before.');
    }
  }
}

const keyOf = (secret: string) =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), INFO, 32));

function isSame(expected: Buffer, base64: string): boolean {
  const given = Buffer.from(base64, 'base64');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

const refused = (why: string) => new Failure('unauthenticated', why);
