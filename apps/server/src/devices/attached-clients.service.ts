import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import {
  type AttachedClient,
  type DestroyAttachedClient,
  type DeviceType,
  Failure,
} from '#lib/protocol';
import { IDLE_MAX_SECONDS, type Session } from '../accounts/session.guard.ts';
import { SessionsService } from '../accounts/sessions.service.ts';
import { EventsService } from '../events/events.service.ts';
import { type RefreshClient, RefreshTokensService } from '../oauth/refresh-tokens.service.ts';
import { Clock } from '../platform/clock.ts';
import type { Visitor } from '../platform/visitor.ts';
import { DeviceMessagesService } from './device-messages.service.ts';
import { unknownDevice } from './devices.service.ts';

/** The latest; signing in costs enough that nobody has more in earnest. */
const SESSIONS_MAX = 1000;

interface SessionRow {
  id: string;
  /** `Firefox on Linux` */
  agent: string | null;
  createdAt: Date;
  usedAt: Date;
}

interface DeviceRow {
  id: string;
  name: string;
  type: DeviceType;
  sessionId: string | null;
  grantId: string | null;
  usedAt: Date;
}

/** What is signed in: a session, or an app with its refresh token and maybe a session of its own. */
interface Entry {
  session: SessionRow | undefined;
  app: RefreshClient | undefined;
  device: DeviceRow | undefined;
}

/** Every session of an account, and every app that it let in, with the device where it has one. */
@Injectable()
export class AttachedClientsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly sessions: SessionsService,
    private readonly refreshTokens: RefreshTokensService,
    private readonly messages: DeviceMessagesService,
    private readonly events: EventsService,
    private readonly clock: Clock,
  ) {}

  /** The newest use first. */
  async list(session: Session): Promise<AttachedClient[]> {
    const entries = await this.entriesOf(session.uid);
    return entries
      .map((entry) => toWire(entry, session, this.clock.now()))
      .sort((a, b) => b.lastAccessTime - a.lastAccessTime);
  }

  /**
   * Signs out what is named, with its device and everything that was given in it. An app that is
   * named alone is signed out wherever it is.
   *
   * @throws Failure `unknown-device`; `invalid-parameter` when two names are of different things. A
   *   session, token or app that is none is as good as ended.
   */
  async destroy({ uid }: Session, asked: DestroyAttachedClient, from: Visitor): Promise<void> {
    const { deviceId, sessionTokenId, refreshTokenId, clientId } = asked;
    const entries = await this.entriesOf(uid);
    const named = entries.filter(({ session, app, device }) => {
      if (deviceId) return device?.id === deviceId;
      if (refreshTokenId) return app !== undefined && idOfGrant(app.grantId) === refreshTokenId;
      if (sessionTokenId) return session !== undefined && inHex(session.id) === sessionTokenId;
      return app?.clientId === clientId;
    });
    if (deviceId && named.length === 0) throw unknownDevice();
    const isOther = named.some(
      ({ session, app }) =>
        (sessionTokenId && (!session || inHex(session.id) !== sessionTokenId)) ||
        (refreshTokenId && (!app || idOfGrant(app.grantId) !== refreshTokenId)) ||
        (clientId && app?.clientId !== clientId),
    );
    if (isOther) throw new Failure('invalid-parameter', 'These are of different clients.');
    for (const entry of named) await this.end(uid, entry, from);
  }

  private async end(uid: string, { session, app, device }: Entry, from: Visitor): Promise<void> {
    // Also the device itself: a Firefox that is told so signs itself out.
    const devices = device ? await this.messages.recipients(uid) : [];
    if (app) await this.refreshTokens.end(uid, app.grantId);
    if (session) await this.sessions.end(session.id);
    await this.events.record({ uid }, device ? 'device.removed' : 'session.ended', from);
    if (device) this.messages.deviceDisconnected(uid, devices, device.id);
  }

  private async entriesOf(uid: string): Promise<Entry[]> {
    const [sessions, devices, apps] = await Promise.all([
      this.db.query<SessionRow[]>(
        `SELECT id, agent, created_at AS "createdAt", used_at AS "usedAt" FROM session s
          WHERE uid = $1 AND NOT awaits_factor
            AND (used_at > $2 OR EXISTS (SELECT FROM device d WHERE d.session_id = s.id))
          ORDER BY used_at DESC LIMIT ${SESSIONS_MAX}`,
        [uid, new Date(this.clock.now().getTime() - IDLE_MAX_SECONDS * 1000)],
      ),
      this.db.query<DeviceRow[]>(
        `SELECT id, name, type, session_id AS "sessionId", grant_id AS "grantId",
                used_at AS "usedAt" FROM device WHERE uid = $1`,
        [uid],
      ),
      this.refreshTokens.listOf(uid),
    ]);
    const deviceOf = new Map(devices.map((device) => [device.grantId ?? device.sessionId, device]));
    const sessionsById = new Map(sessions.map((session) => [session.id, session]));
    const withApps = apps.map((app) => {
      // A session that an app brought along is part of it; one that it was let in by is not.
      const session = app.ownsSession ? sessionsById.get(app.sessionId ?? '') : undefined;
      if (session) sessionsById.delete(session.id);
      const device = deviceOf.get(app.grantId) ?? (session && deviceOf.get(session.id));
      return { session, app, device };
    });
    const alone = [...sessionsById.values()].map((session) => ({
      ...{ session, app: undefined, device: deviceOf.get(session.id) },
    }));
    return [...alone, ...withApps];
  }
}

function toWire({ session, app, device }: Entry, caller: Session, now: Date): AttachedClient {
  const isCurrentSession = session?.id === caller.id;
  const uses = [app?.createdAt, app?.lastUsedAt, session?.usedAt, device?.usedAt]
    .filter((time) => time instanceof Date)
    .map((time) => time.getTime());
  return {
    clientId: app?.clientId ?? null,
    deviceId: device?.id ?? null,
    sessionTokenId: session ? inHex(session.id) : null,
    refreshTokenId: app ? idOfGrant(app.grantId) : null,
    isCurrentSession,
    deviceType: device?.type ?? null,
    name: device?.name ?? app?.clientName ?? null,
    createdTime: (app ?? session)?.createdAt.getTime() ?? 0,
    lastAccessTime: isCurrentSession ? now.getTime() : Math.max(...uses),
    scope: app?.scopes ?? null,
    location: {},
    userAgent: session?.agent ?? '',
    os: / on (.+)$/.exec(session?.agent ?? '')?.[1] ?? null,
  };
}

/** A session's id as it stands in the table is a hash in base64url: it opens nothing. */
const inHex = (id: string) => Buffer.from(id, 'base64url').toString('hex');

/** Stays the same when the refresh token is exchanged. */
const idOfGrant = (grantId: string) => createHash('sha256').update(grantId).digest('hex');
