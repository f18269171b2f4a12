import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Clock } from '../platform/clock.ts';
import { type PushOutcome, PushService } from './push.service.ts';

/** A device that can be told something, as it was when it was looked up. */
export interface Recipient {
  id: string;
  pushCallback: string | null;
  pushPublicKey: string | null;
  pushAuthKey: string | null;
  pushExpired: boolean;
}

/** What became of a message: undefined when it was sent, or FxA's words for why not. */
type NotifyError = string | undefined;

/** How long a push service keeps what is about the account: a day. */
const NEWS_SECONDS = 86_400;
/** Messages of one account in a minute: a server is not to be made a hose. */
const MINUTE_MAX = 300;

const words: Record<Exclude<PushOutcome, 'sent'>, string> = {
  gone: 'expired push callback',
  busy: 'too many messages',
  refused: 'push service refused',
  unreachable: 'push service unreachable',
};

/**
 * Tells devices what happened, by Web Push, in the words that Firefox knows. Nothing depends on it:
 * a message that is lost costs the device a later look. Nothing here throws, and only
 * {@link DeviceMessagesService.send} waits.
 *
 * Whoever ends devices looks them up before, and tells them after.
 */
@Injectable()
export class DeviceMessagesService {
  private readonly logger = new Logger('devices');
  private minute = 0;
  private spent = new Map<string, number>();

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly push: PushService,
    private readonly clock: Clock,
  ) {}

  /**
   * The devices of an account.
   *
   * @param except - the one device, or the device of the one session, that need not be told
   */
  async recipients(
    uid: string,
    except: { device?: string | undefined; session?: string | undefined } = {},
  ): Promise<Recipient[]> {
    return this.db.query<Recipient[]>(
      `SELECT id, push_callback AS "pushCallback", push_public_key AS "pushPublicKey",
              push_auth_key AS "pushAuthKey", push_expired AS "pushExpired" FROM device
        WHERE uid = $1 AND id IS DISTINCT FROM $2
          AND ($3::text IS NULL OR session_id IS DISTINCT FROM $3)`,
      [uid, except.device ?? null, except.session ?? null],
    );
  }

  /** A device was added to the account. */
  deviceConnected(uid: string, others: Recipient[], deviceName: string): void {
    this.tell(uid, others, 'device_connected', { deviceName });
  }

  /** A device was signed out; it may be among those that are told. */
  deviceDisconnected(uid: string, devices: Recipient[], id: string): void {
    this.tell(uid, devices, 'device_disconnected', { id });
  }

  /** The password changed: the sessions of these devices are over. */
  passwordChanged(uid: string, devices: Recipient[]): void {
    this.tell(uid, devices, 'password_changed');
  }

  /** The password was reset: the sessions of these devices, and their keys, are over. */
  passwordReset(uid: string, devices: Recipient[]): void {
    this.tell(uid, devices, 'password_reset');
  }

  /** The account is no more. */
  accountDestroyed(uid: string, devices: Recipient[]): void {
    this.tell(uid, devices, 'account_destroyed', { uid });
  }

  /** The name or picture of the account changed. */
  async profileUpdated(uid: string): Promise<void> {
    this.tell(uid, await this.recipients(uid), 'profile_updated');
  }

  /** Passes on what a device says to others, and does not wait for it. */
  passOn(uid: string, devices: Recipient[], payload: object, ttlSeconds: number): void {
    for (const device of devices) void this.send(uid, device, payload, ttlSeconds);
  }

  /** Sends a message to one device. */
  async send(
    uid: string,
    device: Recipient,
    payload: object,
    ttlSeconds: number,
  ): Promise<NotifyError> {
    const { pushCallback, pushPublicKey, pushAuthKey } = device;
    if (pushCallback === null) return 'no push callback';
    if (device.pushExpired) return words.gone;
    if (pushPublicKey === null || pushAuthKey === null) return 'no push keys';
    if (!this.spend(uid)) return words.busy;
    const to = { callback: pushCallback, publicKey: pushPublicKey, authKey: pushAuthKey };
    const outcome = await this.push.send(to, payload, ttlSeconds);
    if (outcome === 'sent') return undefined;
    if (outcome === 'gone') await this.expire(device);
    return words[outcome];
  }

  private tell(uid: string, devices: Recipient[], name: string, data?: object): void {
    const payload = { version: 1, command: `fxaccounts:${name}`, ...(data && { data }) };
    this.passOn(uid, devices, payload, NEWS_SECONDS);
  }

  /** Unless the device subscribed anew meanwhile. */
  private async expire({ id, pushCallback }: Recipient): Promise<void> {
    try {
      await this.db.query(
        `UPDATE device SET push_expired = true WHERE id = $1 AND push_callback = $2`,
        [id, pushCallback],
      );
    } catch (error) {
      this.logger.warn({ event: 'push-not-noted', error: String(error) });
    }
  }

  private spend(uid: string): boolean {
    const minute = Math.floor(this.clock.seconds() / 60);
    if (minute !== this.minute) {
      this.minute = minute;
      this.spent = new Map();
    }
    const spent = (this.spent.get(uid) ?? 0) + 1;
    this.spent.set(uid, spent);
    return spent <= MINUTE_MAX;
  }
}
