import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import {
  type AttachedClient,
  type DestroyAttachedClient,
  type DeviceType,
  Failure,
} from '#lib/protocol';
import type { Session } from '../accounts/session.guard.ts';
import { SessionsService } from '../accounts/sessions.service.ts';
import { Clock } from '../platform/clock.ts';
import { DevicesService, unknownDevice } from './devices.service.ts';

/** Every session of an account, and every app that it let in, with the device where it has one. */
@Injectable()
export class AttachedClientsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly devices: DevicesService,
    private readonly sessions: SessionsService,
    private readonly clock: Clock,
  ) {}

  /** The newest use first. */
  async list(session: Session): Promise<AttachedClient[]> {
    const rows = await this.sessionsOf(session.uid);
    return rows.map((row) => {
      const isCurrentSession = row.id === session.id;
      return {
        clientId: null,
        deviceId: row.deviceId,
        sessionTokenId: inHex(row.id),
        refreshTokenId: null,
        isCurrentSession,
        deviceType: row.type,
        name: row.name,
        createdTime: row.createdAt.getTime(),
        lastAccessTime: (isCurrentSession ? this.clock.now() : row.usedAt).getTime(),
        scope: null,
        location: {},
        userAgent: '',
        os: null,
      };
    });
  }

  /**
   * Signs out what is named, with its device and everything that was given in it.
   *
   * @throws Failure `unknown-device`; `invalid-parameter` when two names are of different things;
   *   a session or token that is none is as good as ended
   */
  async destroy({ uid }: Session, asked: DestroyAttachedClient): Promise<void> {
    const { deviceId, sessionTokenId } = asked;
    const rows = await this.sessionsOf(uid);
    if (deviceId) {
      const row = rows.find((session) => session.deviceId === deviceId);
      if (!row) throw unknownDevice();
      if (sessionTokenId && inHex(row.id) !== sessionTokenId) {
        throw new Failure('invalid-parameter', 'The device is of another session.');
      }
      await this.devices.destroy(uid, deviceId);
      return;
    }
    const row = rows.find(({ id }) => inHex(id) === sessionTokenId);
    if (row) await this.sessions.end(row.id);
  }

  private sessionsOf(uid: string) {
    return this.db.query<
      {
        id: string;
        createdAt: Date;
        usedAt: Date;
        deviceId: string | null;
        name: string | null;
        type: DeviceType | null;
      }[]
    >(
      `SELECT s.id, s.created_at AS "createdAt", s.used_at AS "usedAt",
              d.id AS "deviceId", d.name, d.type
         FROM session s LEFT JOIN device d ON d.session_id = s.id
        WHERE s.uid = $1 ORDER BY s.used_at DESC, s.id`,
      [uid],
    );
  }
}

/** A session's id as it stands in the table is a hash in base64url: it opens nothing. */
const inHex = (id: string) => Buffer.from(id, 'base64url').toString('hex');
