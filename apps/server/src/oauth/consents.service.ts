import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { type ConnectedApp, Failure } from '#lib/protocol';
import { EventsService } from '../events/events.service.ts';
import { Clock } from '../platform/clock.ts';
import { retried } from '../platform/deadlock.ts';
import type { Visitor } from '../platform/visitor.ts';
import { AppUsesService } from './app-uses.service.ts';
import { ClientsService } from './clients.service.ts';

interface Row {
  clientId: string;
  scopes: string[];
  createdAt: Date;
  changedAt: Date;
  usedAt: Date | null;
}

const ROW = `
  SELECT client_id AS "clientId", scopes, created_at AS "createdAt", changed_at AS "changedAt",
         used_at AS "usedAt" FROM consent WHERE uid = $1`;

/** What accounts let apps do, from the first yes until they revoke it. */
@Injectable()
export class ConsentsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clients: ClientsService,
    private readonly events: EventsService,
    private readonly uses: AppUsesService,
    private readonly clock: Clock,
  ) {}

  /** What an account let an app do so far; undefined for nothing. */
  async find(uid: string, clientId: string): Promise<Row | undefined> {
    const [row] = await this.db.query<Row[]>(`${ROW} AND client_id = $2`, [uid, clientId]);
    return row;
  }

  /** Whoever ends the account or the app waits, and is not waited for by what follows in `tx`. */
  async hold(tx: EntityManager, uid: string, clientId: string): Promise<void> {
    await tx.query(`SELECT FROM account WHERE uid = $1 FOR KEY SHARE`, [uid]);
    await tx.query(`SELECT FROM oauth_client WHERE id = $1 FOR KEY SHARE`, [clientId]);
  }

  /** Adds scopes to those that an app is known to have. @param from - whose answer it was */
  async remember(
    { uid, clientId, scopes }: { uid: string; clientId: string; scopes: readonly string[] },
    from: Visitor,
    tx: EntityManager,
  ): Promise<void> {
    const [row] = await tx.query<[{ isNew: boolean }]>(
      `WITH before AS (SELECT scopes FROM consent WHERE uid = $1 AND client_id = $2)
       INSERT INTO consent AS c (uid, client_id, scopes, created_at, changed_at)
       VALUES ($1, $2, $3, $4, $4)
       ON CONFLICT (uid, client_id) DO UPDATE SET changed_at = $4,
         scopes = ARRAY(SELECT DISTINCT unnest(c.scopes || excluded.scopes))
       RETURNING NOT coalesce((SELECT scopes @> $3 FROM before), false) AS "isNew"`,
      [uid, clientId, scopes, this.clock.now()],
    );
    if (row.isNew) await this.events.record({ uid }, 'app.connected', from, tx);
  }

  /** The apps that an account let in, the last used first. */
  async list(uid: string): Promise<ConnectedApp[]> {
    await this.uses.written();
    const rows = await this.db.query<Row[]>(
      `${ROW} ORDER BY coalesce(used_at, changed_at) DESC, client_id`,
      [uid],
    );
    const apps = await Promise.all(
      rows.map(async ({ clientId, scopes, ...row }): Promise<ConnectedApp[]> => {
        const client = await this.clients.face(clientId);
        if (!client) return []; // removed meanwhile
        const times = { first_at: row.createdAt.getTime(), last_at: row.usedAt?.getTime() ?? null };
        return [{ client, scopes, ...times }];
      }),
    );
    return apps.flat();
  }

  /**
   * Ends all that an account granted to an app, with every token and the sessions made for it, and
   * forgets that it ever said yes.
   *
   * @throws Failure `unknown-client` when the app is not connected
   */
  async revoke(uid: string, clientId: string, from: Visitor): Promise<void> {
    const [row] = await retried(() =>
      this.db.query<[{ known: boolean }]>(
        `WITH gone AS (
           DELETE FROM oidc
            WHERE model = 'Grant' AND payload->>'accountId' = $1 AND client_id = $2
           RETURNING session_id, owns_session),
         signed_out AS (
           DELETE FROM session USING gone
            WHERE session.id = gone.session_id AND gone.owns_session),
         forgotten AS (DELETE FROM consent WHERE uid = $1 AND client_id = $2 RETURNING client_id)
         SELECT EXISTS (SELECT FROM forgotten) OR EXISTS (SELECT FROM gone) AS known`,
        [uid, clientId],
      ),
    );
    this.uses.forget(uid, clientId);
    if (!row.known) {
      throw new Failure('unknown-client', 'This app is not connected.', { extra: { clientId } });
    }
    await this.events.record({ uid }, 'app.revoked', from);
  }
}
