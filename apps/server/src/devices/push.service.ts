import { createPublicKey } from 'node:crypto';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import webPush, { type VapidKeys } from 'web-push';
import { Failure } from '#lib/protocol';
import { Config } from '../platform/config.ts';
import { parseOutsideUrl, postOutside } from '../platform/outside.ts';
import { SettingsService } from '../platform/settings.service.ts';

/** From the name's resolution to the head of the answer. */
const PATIENCE_MS = 5000;
/** Sockets that a flood of messages may hold; what is beyond is not sent. */
const AT_ONCE_MAX = 200;

/** What refusals call it. */
const WHAT = 'A push address';

/** Where a device takes messages. */
export interface Subscription {
  callback: string;
  /** base64url, a point of P-256. */
  publicKey: string;
  /** base64url, 16 bytes. */
  authKey: string;
}

/**
 * What became of a message. `gone`: the push service does not know the address any more, or it is
 * one that no message is sent to.
 */
export type PushOutcome = 'sent' | 'gone' | 'busy' | 'refused' | 'unreachable';

/**
 * Sends messages to devices by Web Push: encrypted to the device, signed by the server's key.
 *
 * Devices choose the address, so it is one that an attacker may have chosen: see `platform/outside.ts`.
 *
 * @see RFC 8030 (Web Push), RFC 8291 (encryption), RFC 8292 (VAPID)
 */
@Injectable()
export class PushService implements OnModuleDestroy {
  private readonly underWay = new Set<Promise<PushOutcome>>();
  private readonly ending = new AbortController();

  constructor(
    private readonly settings: SettingsService,
    private readonly config: Config,
  ) {}

  /** Who waits for an answer is let go: the pool of database connections ends next. */
  async onModuleDestroy(): Promise<void> {
    this.ending.abort();
    await Promise.allSettled(this.underWay);
  }

  /**
   * Checks what a device registers, as far as it can be judged now.
   *
   * @throws Failure `invalid-parameter`
   */
  expectUsable(callback: string, publicKey: string | null): void {
    const url = parseOutsideUrl(callback, WHAT, this.config.limits.pushHostsAllowed);
    if (typeof url === 'string') throw new Failure('invalid-parameter', url);
    if (publicKey !== null && !isPoint(publicKey)) {
      throw new Failure('invalid-parameter', 'The push key is no point of P-256.');
    }
  }

  /** Sends one message; never throws. */
  async send(to: Subscription, payload: object, ttlSeconds: number): Promise<PushOutcome> {
    if (this.underWay.size >= AT_ONCE_MAX || this.ending.signal.aborted) return 'busy';
    const sending = this.deliver(to, payload, ttlSeconds).catch((): PushOutcome => 'unreachable');
    this.underWay.add(sending);
    try {
      return await sending;
    } finally {
      this.underWay.delete(sending);
    }
  }

  private async deliver(
    to: Subscription,
    payload: object,
    ttlSeconds: number,
  ): Promise<PushOutcome> {
    const signal = AbortSignal.any([AbortSignal.timeout(PATIENCE_MS), this.ending.signal]);
    const allowed = this.config.limits.pushHostsAllowed;
    const url = parseOutsideUrl(to.callback, WHAT, allowed);
    if (typeof url === 'string') return 'gone';
    const vapid = await this.vapidKeys();
    const { headers, body } = webPush.generateRequestDetails(
      { endpoint: url.href, keys: { p256dh: to.publicKey, auth: to.authKey } },
      JSON.stringify(payload),
      {
        TTL: ttlSeconds,
        vapidDetails: { ...vapid, subject: `mailto:no-reply@${this.config.publicUrl.hostname}` },
      },
    );
    const status = await postOutside(url, allowed, { headers, body, signal });
    if (status === 'inside') return 'gone';
    if (status === 'unknown') return 'unreachable';
    if (status === 404 || status === 410) return 'gone';
    return status >= 200 && status < 300 ? 'sent' : 'refused';
  }

  /** Made at the first message. A new pair would be a stranger to who subscribed with the old. */
  private async vapidKeys(): Promise<VapidKeys> {
    const make = () => JSON.stringify(webPush.generateVAPIDKeys());
    return JSON.parse(await this.settings.getOrMake('vapid-keys', make)) as VapidKeys;
  }
}

/** Whether it is an uncompressed point of P-256, which every encryption to it relies on. */
function isPoint(publicKey: string): boolean {
  const bytes = Buffer.from(publicKey, 'base64url');
  if (bytes.length !== 65 || bytes[0] !== 4) return false;
  const [x, y] = [bytes.subarray(1, 33), bytes.subarray(33)].map((part) =>
    part.toString('base64url'),
  );
  try {
    createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}
