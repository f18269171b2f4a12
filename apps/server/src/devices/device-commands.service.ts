import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import {
  type DeviceCommands,
  Failure,
  type InvokeCommand,
  type Invoked,
  type NotifyDevices,
} from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { Config } from '../platform/config.ts';
import { DeviceMessagesService } from './device-messages.service.ts';
import type { Holder } from './device.guard.ts';
import { DevicesService, unknownDevice } from './devices.service.ts';

/** 30 days, and what a command without `ttl` has. */
const LIFE_SECONDS_MAX = 2_592_000;
/** Of one device, that it did not fetch yet. */
const WAITING_MAX = 500;
const WAITING_BYTES_MAX = 2_097_152;
const PAGE_MAX = 100;
/** Of one device, that it fetched: it may ask again. */
const KEPT_MAX = 100;
/** An hour. */
const PURGE_MS = 3_600_000;
/** That a sender waits to hear whether the device was told; the message goes on. */
const SOON_MS = 1500;

/**
 * Commands from one device to another, such as a tab that is sent: kept until their time is over
 * and numbered per device from 1. A device asks for what follows the last number it has seen, so a
 * number that came a second time would be a command lost: the counter is part of the device.
 */
@Injectable()
export class DeviceCommandsService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('devices');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'purge-failed', error: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly devices: DevicesService,
    private readonly messages: DeviceMessagesService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(PURGE_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** Removes what expired. */
  async purge(): Promise<void> {
    await this.db.query(`DELETE FROM device_command WHERE expires_at <= $1`, [this.clock.now()]);
  }

  /**
   * Stores a command for another device of the account, and tells the device.
   *
   * @throws as {@link enqueue}
   */
  async invoke(holder: Holder, asked: InvokeCommand): Promise<Invoked> {
    const lifeSeconds = Math.min(asked.ttl ?? LIFE_SECONDS_MAX, LIFE_SECONDS_MAX);
    const sender = await this.devices.findOwn(holder);
    const index = await this.enqueue(holder.uid, asked, { sender, lifeSeconds });
    const path = `/auth/v1/account/device/commands?index=${index}&limit=1`;
    const payload = {
      version: 1,
      command: 'fxaccounts:command_received',
      data: { command: asked.command, index, sender, url: this.config.at(path) },
    };
    const devices = await this.messages.recipients(holder.uid);
    const target = devices.find(({ id }) => id === asked.target);
    const notifyError = target
      ? await soon(this.messages.send(holder.uid, target, payload, lifeSeconds))
      : 'unknown device';
    return {
      ...{ enqueued: true, notified: notifyError === undefined },
      ...(notifyError !== undefined && { notifyError }),
    };
  }

  /** Passes on what a device has to say to others of its account; unknown ids are nobody. */
  async notify({ uid }: Holder, { to, excluded = [], payload, TTL }: NotifyDevices): Promise<void> {
    const devices = (await this.messages.recipients(uid)).filter(
      ({ id }) => (to === 'all' || to.includes(id)) && !excluded.includes(id),
    );
    this.messages.passOn(uid, devices, payload, TTL);
  }

  /**
   * @returns the number of the command
   * @throws Failure `unknown-device`, `unavailable-command`, `too-many-requests` when the device
   *   left too many waiting
   */
  private async enqueue(
    uid: string,
    asked: InvokeCommand,
    { sender, lifeSeconds }: { sender: string | undefined; lifeSeconds: number },
  ): Promise<number> {
    const { target, command } = asked;
    const now = this.clock.now();
    const payload = JSON.stringify(asked.payload);
    const sizeBytes = Buffer.byteLength(payload);
    return this.db.transaction(async (tx) => {
      // Senders to one device take turns from here, so that numbers appear in their order.
      const [device] = await tx.query<{ next: number; seen: number; isTaken: boolean }[]>(
        `SELECT next_index AS next, seen_index AS seen,
                available_commands -> $3::text IS NOT NULL AS "isTaken"
           FROM device WHERE id = $1 AND uid = $2 FOR NO KEY UPDATE`,
        [target, uid, command],
      );
      if (!device) throw unknownDevice();
      if (!device.isTaken) {
        throw new Failure('unavailable-command', 'The device does not take this command.');
      }
      const { next, seen } = device;
      // What the device has seen makes room for what it has not.
      const [{ count, bytes } = { count: 0, bytes: 0 }] = await tx.query<
        { count: number; bytes: number }[]
      >(
        `WITH gone AS (
           DELETE FROM device_command
            WHERE device_id = $1 AND (expires_at <= $2 OR index <= least($3::bigint, $4::bigint)))
         SELECT count(*) AS count, coalesce(sum(size_bytes), 0) AS bytes
           FROM device_command WHERE device_id = $1 AND expires_at > $2 AND index > $3`,
        [target, now, seen, next - KEPT_MAX],
      );
      if (count >= WAITING_MAX || bytes + sizeBytes > WAITING_BYTES_MAX) {
        throw new Failure('too-many-requests', 'The device has too many commands waiting.');
      }
      await tx.query(
        `INSERT INTO device_command
           (device_id, index, sender, command, payload, size_bytes, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)`,
        [
          ...[target, next, sender ?? null, command, payload, sizeBytes],
          new Date(now.getTime() + lifeSeconds * 1000),
        ],
      );
      await tx.query(`UPDATE device SET next_index = next_index + 1 WHERE id = $1`, [target]);
      return next;
    });
  }

  /**
   * The commands for the caller's device, in their order.
   *
   * @param from - the first number that is wanted; the device has all before it
   * @throws Failure `unknown-device` when the caller registered none
   */
  async list(holder: Holder, from = 0, limit = PAGE_MAX): Promise<DeviceCommands> {
    const id = await this.devices.findOwn(holder);
    if (id === undefined) throw unknownDevice();
    await this.note(id, from);
    const most = Math.min(Math.max(limit, 1), PAGE_MAX);
    const rows = await this.db.query<
      { index: number; sender: string | null; command: string; payload: Record<string, unknown> }[]
    >(
      `SELECT index, sender, command, payload FROM device_command
        WHERE device_id = $1 AND index >= $2 AND expires_at > $3 ORDER BY index LIMIT $4`,
      [id, from, this.clock.now(), most + 1],
    );
    const messages = rows.slice(0, most).map(({ index, sender, command, payload }) => ({
      index,
      data: { command, payload, ...(sender !== null && { sender }) },
    }));
    return {
      index: messages.at(-1)?.index ?? Math.max(from - 1, 0),
      last: rows.length <= most,
      messages,
    };
  }

  /**
   * Notes what the device has. When that is more than was ever numbered here, the database is older
   * than the device: what waits is numbered anew, behind what the device has seen.
   */
  private async note(id: string, from: number): Promise<void> {
    const news = await this.db.query<unknown[]>(
      `SELECT 1 FROM device WHERE id = $1 AND seen_index < $2 - 1`,
      [id, from],
    );
    if (news.length === 0) return;
    await this.db.transaction(async (tx) => {
      const [device] = await tx.query<{ next: number; seen: number }[]>(
        `SELECT next_index AS next, seen_index AS seen FROM device
          WHERE id = $1 FOR NO KEY UPDATE`,
        [id],
      );
      if (!device || device.seen >= from - 1) return;
      const shift = from > device.next ? from - device.seen - 1 : 0;
      await tx.query(`UPDATE device SET seen_index = $2, next_index = $3 WHERE id = $1`, [
        ...[id, from - 1, device.next + shift],
      ]);
      if (shift === 0) return;
      await tx.query(
        `UPDATE device_command SET index = index + $3 WHERE device_id = $1 AND index > $2`,
        [id, device.seen, shift],
      );
    });
  }
}

async function soon(work: Promise<string | undefined>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const slow = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, SOON_MS, 'push service is slow');
  });
  try {
    return await Promise.race([work, slow]);
  } finally {
    clearTimeout(timer);
  }
}
