import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type Device,
  type DeviceType,
  Failure,
  type PutDevice,
  type RenameDevice,
} from '#lib/protocol';
import { SessionsService } from '../accounts/sessions.service.ts';
import { EventsService } from '../events/events.service.ts';
import { RefreshTokensService } from '../oauth/refresh-tokens.service.ts';
import { Clock } from '../platform/clock.ts';
import type { Visitor } from '../platform/visitor.ts';
import { DeviceMessagesService } from './device-messages.service.ts';
import type { Holder } from './device.guard.ts';
import { PushService } from './push.service.ts';

/** More than anybody carries; each costs the others a message when something happens. */
const DEVICES_MAX = 100;

/** A row of `device`, without what the commands need. */
interface Row {
  id: string;
  sessionId: string | null;
  grantId: string | null;
  name: string;
  type: DeviceType;
  pushCallback: string | null;
  pushPublicKey: string | null;
  pushAuthKey: string | null;
  pushExpired: boolean;
  availableCommands: Record<string, string>;
  /** Of the device's own session, where it has one. */
  usedAt: Date;
}

const ROWS = `
  SELECT d.id, d.session_id AS "sessionId", d.grant_id AS "grantId", d.name, d.type,
         d.push_callback AS "pushCallback", d.push_public_key AS "pushPublicKey",
         d.push_auth_key AS "pushAuthKey", d.push_expired AS "pushExpired",
         d.available_commands AS "availableCommands", coalesce(s.used_at, d.used_at) AS "usedAt"
    FROM device d LEFT JOIN session s ON s.id = d.session_id`;

/** The devices of an account: each is of one session, or one grant of an app, and ends with it. */
@Injectable()
export class DevicesService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly sessions: SessionsService,
    private readonly refreshTokens: RefreshTokensService,
    private readonly push: PushService,
    private readonly messages: DeviceMessagesService,
    private readonly events: EventsService,
    private readonly clock: Clock,
  ) {}

  /**
   * Registers the caller's device, or changes what is given of it. A device of the account whose
   * session is another becomes the caller's: so it keeps its id and its commands when the password
   * changed. The session that it had is of no more use, and ends.
   *
   * @throws Failure `unknown-device`; `device-conflict` with the `deviceId` that the caller has;
   *   `invalid-parameter` for a new device without name or type; `too-many-requests`
   */
  async put(holder: Holder, asked: PutDevice, from: Visitor): Promise<Device> {
    if (asked.pushCallback) {
      this.push.expectUsable(asked.pushCallback, asked.pushPublicKey || null);
    }
    const { row, isNew } = await this.db.transaction(async (tx) => {
      const stored = await this.store(tx, holder, asked);
      if (stored.isNew) await this.events.record(holder, 'device.connected', from, tx);
      return stored;
    });
    if (isNew) {
      const others = await this.messages.recipients(holder.uid, { device: row.id });
      this.messages.deviceConnected(holder.uid, others, row.name);
    }
    return toWire(row, holder, row.usedAt);
  }

  /**
   * All devices of the account, the newest use first.
   *
   * @param idleSince - milliseconds since 1970; devices that were not used since are left out. The
   *   caller's own never is.
   */
  async list(holder: Holder, idleSince = 0): Promise<Device[]> {
    const now = this.clock.now();
    const rows = await this.rows(this.db.manager, holder.uid);
    return rows
      .map((row) => toWire(row, holder, now))
      .filter((device) => device.isCurrentDevice || device.lastAccessTime >= idleSince)
      .sort((a, b) => b.lastAccessTime - a.lastAccessTime);
  }

  /**
   * Gives any device of the account another name.
   *
   * @throws Failure `unknown-device`
   */
  async rename(uid: string, { id, name }: RenameDevice): Promise<void> {
    const [rows] = await this.db.query<[unknown[], number]>(
      `UPDATE device SET name = $3 WHERE uid = $1 AND id = $2 RETURNING id`,
      [uid, id, name],
    );
    if (rows.length === 0) throw unknownDevice();
  }

  /**
   * Ends a device, with the session or grant that it is of.
   *
   * @throws Failure `unknown-device`
   */
  async destroy(uid: string, id: string, from: Visitor): Promise<void> {
    const row = (await this.rows(this.db.manager, uid)).find((device) => device.id === id);
    if (!row) throw unknownDevice();
    // Also the device itself: a Firefox that is told so signs itself out.
    const devices = await this.messages.recipients(uid);
    if (row.sessionId !== null) await this.sessions.end(row.sessionId);
    if (row.grantId !== null) await this.refreshTokens.end(uid, row.grantId);
    await this.events.record({ uid }, 'device.removed', from);
    this.messages.deviceDisconnected(uid, devices, id);
  }

  /**
   * Ends sessions of the account by `end`, and tells the other devices which of them are gone by it.
   */
  async signOut(uid: string, end: () => Promise<void>): Promise<void> {
    const devices = await this.messages.recipients(uid);
    await end();
    const left = new Set((await this.messages.recipients(uid)).map(({ id }) => id));
    const others = devices.filter(({ id }) => left.has(id));
    for (const { id } of devices) {
      if (!left.has(id)) this.messages.deviceDisconnected(uid, others, id);
    }
  }

  /** The id of the caller's device; undefined when it registered none. */
  async findOwn(holder: Holder): Promise<string | undefined> {
    const { sessionId, grantId } = ownerOf(holder);
    const [row] = await this.db.query<{ id: string }[]>(
      `SELECT id FROM device WHERE session_id = $1 OR grant_id = $2`,
      [sessionId, grantId],
    );
    return row?.id;
  }

  private async store(
    tx: EntityManager,
    holder: Holder,
    asked: PutDevice,
  ): Promise<{ row: Row; isNew: boolean }> {
    const { uid } = holder;
    await this.takeTurn(tx, holder);
    const { sessionId, grantId } = ownerOf(holder);
    if (asked.id === undefined && sessionId !== null)
      await this.sessions.endReplaced(tx, sessionId);
    const all = await this.rows(tx, uid);
    const mine = all.find((row) => isOf(row, holder));
    const named = asked.id === undefined ? mine : all.find(({ id }) => id === asked.id);
    if (asked.id !== undefined && !named) throw unknownDevice();
    if (named && mine && named !== mine) {
      throw new Failure('device-conflict', 'The session has another device.', {
        extra: { deviceId: mine.id },
      });
    }
    if (!named && all.length >= DEVICES_MAX) {
      throw new Failure('too-many-requests', `An account has ${DEVICES_MAX} devices at most.`);
    }
    const row: Row = {
      ...(named ?? this.fresh(asked)),
      ...{ sessionId, grantId, usedAt: this.clock.now() },
      ...changesOf(asked, named),
    };
    if (!named) await this.insert(tx, uid, row);
    else if (named === mine) await this.update(tx, row);
    else await this.takeOver(tx, named, row);
    return { row, isNew: !named };
  }

  /** Registrations of one account take turns from here, so that they count each other. */
  private async takeTurn(tx: EntityManager, holder: Holder): Promise<void> {
    await tx.query(`SELECT 1 FROM account WHERE uid = $1 FOR NO KEY UPDATE`, [holder.uid]);
    const { sessionId, grantId } = ownerOf(holder);
    const [found] = await tx.query<unknown[]>(
      sessionId === null
        ? `SELECT 1 FROM oidc WHERE grant_key = $1 FOR KEY SHARE`
        : `SELECT 1 FROM session WHERE id = $1 FOR KEY SHARE`,
      [sessionId ?? grantId],
    );
    if (!found) throw new Failure('unauthenticated', 'The token is unknown or has ended.');
  }

  private rows(tx: EntityManager, uid: string): Promise<Row[]> {
    return tx.query<Row[]>(`${ROWS} WHERE d.uid = $1`, [uid]);
  }

  private fresh({ name, type }: PutDevice) {
    if (typeof name !== 'string' || !type) {
      throw new Failure('invalid-parameter', 'A new device needs a name and a type.', {
        extra: { errno: 108, param: type ? 'name' : 'type' },
      });
    }
    return {
      ...{ id: randomBytes(16).toString('hex'), name, type, availableCommands: {} },
      ...{ pushCallback: null, pushPublicKey: null, pushAuthKey: null, pushExpired: false },
    };
  }

  private async insert(tx: EntityManager, uid: string, row: Row): Promise<void> {
    await tx.query(
      `INSERT INTO device (id, session_id, grant_id, name, type, push_callback, push_public_key,
         push_auth_key, push_expired, available_commands, used_at, uid, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)`,
      [...columnsOf(row), uid],
    );
  }

  private async update(tx: EntityManager, row: Row): Promise<void> {
    await tx.query(
      `UPDATE device SET session_id = $2, grant_id = $3, name = $4, type = $5, push_callback = $6,
              push_public_key = $7, push_auth_key = $8, push_expired = $9,
              available_commands = $10, used_at = $11
        WHERE id = $1`,
      columnsOf(row),
    );
  }

  /** Who ends the session before must have ended it by now, and the device with it, or wait. */
  private async takeOver(tx: EntityManager, before: Row, row: Row): Promise<void> {
    const { sessionId, grantId } = before;
    const held = await tx.query<unknown[]>(
      sessionId === null
        ? `SELECT 1 FROM oidc WHERE grant_key = $1 FOR UPDATE`
        : `SELECT 1 FROM session WHERE id = $1 FOR UPDATE`,
      [sessionId ?? grantId],
    );
    if (held.length === 0) throw unknownDevice();
    await this.update(tx, row);
    if (sessionId !== null) await this.sessions.end(sessionId, tx);
  }
}

/** In the order of `insert` and `update`. */
const columnsOf = (row: Row) => [
  ...[row.id, row.sessionId, row.grantId, row.name, row.type, row.pushCallback],
  ...[row.pushPublicKey, row.pushAuthKey, row.pushExpired],
  ...[JSON.stringify(row.availableCommands), row.usedAt],
];

/** What a call changes of a device, or sets of a new one. */
function changesOf(asked: PutDevice, before: Row | undefined): Partial<Row> {
  const { name, type, pushCallback, availableCommands } = asked;
  return {
    ...(typeof name === 'string' && { name }),
    ...(type && { type }),
    ...(availableCommands !== undefined && { availableCommands: availableCommands ?? {} }),
    ...(pushCallback !== undefined && subscriptionOf(asked, before)),
  };
}

/** A subscription is replaced as a whole: keys of another one would be no use. */
function subscriptionOf(asked: PutDevice, before: Row | undefined) {
  const pushCallback = asked.pushCallback || null;
  const kept = before?.pushCallback === pushCallback ? before : undefined;
  return {
    pushCallback,
    pushPublicKey: (pushCallback && asked.pushPublicKey) || kept?.pushPublicKey || null,
    pushAuthKey: (pushCallback && asked.pushAuthKey) || kept?.pushAuthKey || null,
    pushExpired: false,
  };
}

const ownerOf = ({ owner }: Holder) => ({
  sessionId: 'sessionId' in owner ? owner.sessionId : null,
  grantId: 'grantId' in owner ? owner.grantId : null,
});

function isOf(row: Row, { owner }: Holder): boolean {
  return 'sessionId' in owner ? row.sessionId === owner.sessionId : row.grantId === owner.grantId;
}

/** Of the account: a device of somebody else is as unknown as one that never was. */
export const unknownDevice = () => new Failure('unknown-device', 'There is no such device.');

function toWire(row: Row, holder: Holder, now: Date): Device {
  const isCurrentDevice = isOf(row, holder);
  return {
    id: row.id,
    name: row.name,
    type: row.type,
    isCurrentDevice,
    lastAccessTime: (isCurrentDevice ? now : row.usedAt).getTime(),
    pushCallback: row.pushCallback,
    pushPublicKey: row.pushPublicKey,
    pushAuthKey: row.pushAuthKey,
    pushEndpointExpired: row.pushExpired,
    availableCommands: row.availableCommands,
    location: {},
  };
}
