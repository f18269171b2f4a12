import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { APP_KEY, Failure, type ScopedKeyData, scopesIn } from '#lib/protocol';
import { appKeyIdentifier } from '#lib/crypto';
import type { Session } from '../accounts/session.guard.ts';
import { EventsService } from '../events/events.service.ts';
import { Clock } from '../platform/clock.ts';
import type { Visitor } from '../platform/visitor.ts';
import { ClientsService } from './clients.service.ts';

interface Row {
  secret: Buffer;
  rotatedAt: number;
  keysChangedAt: number;
  formerSecret: Buffer | null;
  formerAt: number | null;
}

const ROW = `
  SELECT secret, rotated_at AS "rotatedAt", keys_changed_at AS "keysChangedAt",
         former_secret AS "formerSecret", former_at AS "formerAt"
    FROM app_key WHERE uid = $1 AND client_id = $2`;

/** A key id counts seconds, and each key needs one of its own. */
const STEP_MS = 1000;

/** What the keys of apps are derived from, beside kB: docs/protocol/oauth.md */
@Injectable()
export class ScopedKeysService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clients: ClientsService,
    private readonly events: EventsService,
    private readonly clock: Clock,
  ) {}

  /** The inputs of an app's key now. @param keysChangedAt - the account's, in milliseconds */
  async find(uid: string, clientId: string, keysChangedAt: number): Promise<ScopedKeyData> {
    return dataOf(clientId, keysChangedAt, await this.row(this.db, uid, clientId));
  }

  /**
   * Makes an app's key another one, and ends what the app was granted in this account, with the sessions that
   * it was granted in, but for the one that asks: whoever has a lost device has nothing that is good.
   *
   * @returns the new inputs, and with them those before, until `finish`
   * @throws Failure `unknown-client`, `invalid-scopes` for an app without a key, `conflict` while an
   * earlier rotation is not finished
   */
  async rotate(session: Session, clientId: string, from: Visitor): Promise<ScopedKeyData> {
    const { uid } = session;
    await this.expectKey(clientId);
    return this.db.transaction(async (tx) => {
      const [account] = await tx.query<{ at: number }[]>(
        `SELECT keys_changed_at AS at FROM account WHERE uid = $1 FOR UPDATE`,
        [uid],
      );
      if (!account) throw new Failure('unauthenticated', 'There is no such account any more.');
      const before = dataOf(clientId, account.at, await this.row(tx, uid, clientId));
      if (before.former) {
        throw new Failure('conflict', 'The rotation before has to be finished first.');
      }
      const secret = randomBytes(32);
      const formerAt = before.keyRotationTimestamp;
      const at = Math.max(this.clock.now().getTime(), formerAt + STEP_MS);
      await tx.query(
        `INSERT INTO app_key (uid, client_id, secret, rotated_at, keys_changed_at, former_secret, former_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (uid, client_id) DO UPDATE SET secret = excluded.secret,
           rotated_at = excluded.rotated_at, keys_changed_at = excluded.keys_changed_at,
           former_secret = excluded.former_secret, former_at = excluded.former_at`,
        [
          ...[uid, clientId, secret, at, account.at],
          ...[Buffer.from(before.keyRotationSecret, 'hex'), formerAt],
        ],
      );
      await tx.query(
        `WITH gone AS (
           DELETE FROM oidc
            WHERE model = 'Grant' AND payload->>'accountId' = $1 AND client_id = $2
           RETURNING session_id)
         DELETE FROM session USING gone WHERE session.id = gone.session_id AND session.id <> $3`,
        [uid, clientId, session.id],
      );
      await this.events.record({ uid }, 'app.key_rotated', from, tx);
      return dataOf(clientId, account.at, await this.row(tx, uid, clientId));
    });
  }

  /** Forgets the key before, once nothing is under it any more; again is no error. */
  async finish(uid: string, clientId: string, keyRotationTimestamp: number): Promise<void> {
    await this.db.query(
      `UPDATE app_key SET former_secret = NULL, former_at = NULL
        WHERE uid = $1 AND client_id = $2 AND rotated_at = $3`,
      [uid, clientId, keyRotationTimestamp],
    );
  }

  /** Whether the key that came into use in this second did so by a rotation: the store stays. */
  async isRotation(
    tx: Pick<EntityManager, 'query'>,
    { uid, clientId, seconds }: { uid: string; clientId: string; seconds: number },
  ): Promise<boolean> {
    const row = await this.row(tx, uid, clientId);
    return row !== undefined && Math.round(row.rotatedAt / 1000) === seconds;
  }

  private async expectKey(clientId: string): Promise<void> {
    const client = await this.clients.find(clientId);
    if (!client) {
      throw new Failure('unknown-client', 'There is no such app.', { extra: { clientId } });
    }
    if (!scopesIn(client.scope).includes(APP_KEY)) {
      throw new Failure('invalid-scopes', 'This app has no key.');
    }
  }

  private async row(
    db: Pick<EntityManager, 'query'>,
    uid: string,
    clientId: string,
  ): Promise<Row | undefined> {
    return (await db.query<Row[]>(ROW, [uid, clientId]))[0];
  }
}

/** With a kB of its own later on, the key is another, and its time is later than any before. */
function dataOf(clientId: string, keysChangedAt: number, row: Row | undefined): ScopedKeyData {
  const identifier = appKeyIdentifier(clientId);
  if (!row) {
    return {
      identifier,
      keyRotationSecret: '0'.repeat(64),
      keyRotationTimestamp: keysChangedAt,
    };
  }
  const keyRotationSecret = row.secret.toString('hex');
  if (row.keysChangedAt !== keysChangedAt) {
    const keyRotationTimestamp = Math.max(keysChangedAt, row.rotatedAt + STEP_MS);
    return { identifier, keyRotationSecret, keyRotationTimestamp };
  }
  return {
    ...{ identifier, keyRotationSecret, keyRotationTimestamp: row.rotatedAt },
    ...(row.formerSecret &&
      row.formerAt !== null && {
        former: {
          keyRotationSecret: row.formerSecret.toString('hex'),
          keyRotationTimestamp: row.formerAt,
        },
      }),
  };
}
