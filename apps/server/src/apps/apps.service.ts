import { randomBytes } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type App,
  AppFields,
  type AppWithSecret,
  AVATAR_BYTES_MAX,
  ClientId,
  Failure,
  scopesIn,
} from '#lib/protocol';
import { DeletionsService } from '../deletion/deletions.service.ts';
import {
  type ClientMetadata,
  isBuiltIn,
  logoPath,
  makeClientSecret,
  OLD_SECRET_SECONDS,
  type StoredSecret,
} from '../oauth/clients.service.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { retried } from '../platform/deadlock.ts';
import { parseOutsideUrl } from '../platform/outside.ts';
import { nameOfPicture, typeOfPicture } from '../platform/picture.ts';
import { checkFields } from './app-fields.ts';
import { endGrants, holdSessions } from './app-grants.ts';
import { imitates, likenessOf } from './app-name.ts';

/** Who looks after apps: a developer after his own, the operator after all. */
export interface Keeper {
  /** Null: the operator, at the machine of the server. */
  uid: string | null;
  isOperator: boolean;
}

/** The operator, at the machine of the server. */
export const OPERATOR: Keeper = { uid: null, isOperator: true };

/** Apps that one developer may have. */
const APPS_MAX = 50;
/** Apps in one answer. */
const LISTED_MAX = 1000;

/** Registers apps, and looks after their rows: docs/apps.md */
@Injectable()
export class AppsService implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly deletions: DeletionsService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  onModuleInit(): void {
    this.deletions.register('apps', (uid) => this.removeOf(uid));
  }

  /** An account, as the keeper of its own apps or of all. */
  async keeper(uid: string): Promise<Keeper> {
    const rows = await this.db.query<unknown[]>(`SELECT FROM operator WHERE uid = $1`, [uid]);
    return { uid, isOperator: rows.length > 0 };
  }

  /** The apps of a keeper, by name. */
  async list(keeper: Keeper): Promise<App[]> {
    const rows = await this.db.query<Row[]>(
      `${SELECT} WHERE $1::boolean OR c.owner = $2
        ORDER BY lower(c.metadata->>'client_name'), c.id LIMIT ${LISTED_MAX}`,
      [keeper.isOperator, keeper.uid],
    );
    return rows.map((row) => this.toWire(row));
  }

  /** @throws Failure `not-found`, also when it is another developer's */
  async show(keeper: Keeper, id: string): Promise<App> {
    return this.toWire(await this.row(this.db.manager, keeper, id));
  }

  /**
   * Registers an app.
   *
   * @param options - `id`: one that the operator chooses; `reuse`: also that of an app that was
   *   removed; `owner`: whose it will be, null for the operator's
   * @throws Failure `invalid-parameter`; `conflict` when the id, the name or a resource is
   *   another's; `over-quota` when the developer has enough of them
   */
  async register(
    keeper: Keeper,
    fields: AppFields,
    options: { id?: string | undefined; reuse?: boolean; owner?: string | null } = {},
  ): Promise<AppWithSecret> {
    const { id = randomBytes(16).toString('hex'), reuse = false } = options;
    const { owner = keeper.isOperator ? null : keeper.uid } = options;
    if (!ClientId.safeParse(id).success) {
      throw new Failure('invalid-parameter', 'client_id: 1 to 64 of A-Z a-z 0-9 . _ ~ -');
    }
    const metadata = { client_id: id, ...this.checked(keeper, fields) };
    const hasSecret = metadata.token_endpoint_auth_method !== 'none';
    const { secret, stored } = makeClientSecret();
    return this.db.transaction(async (tx) => {
      await takeTurns(tx);
      await this.checkOthers(tx, keeper, owner, metadata);
      if (reuse) await tx.query(`DELETE FROM removed_app WHERE id = $1`, [id]);
      const rows = await tx.query<unknown[]>(
        `INSERT INTO oauth_client (id, metadata, owner, secrets, created_at, changed_at)
         SELECT $1, $2, $3, $4, $5, $5
          WHERE NOT EXISTS (SELECT FROM removed_app WHERE id = $1)
         ON CONFLICT DO NOTHING RETURNING id`,
        [id, metadata, owner, hasSecret ? JSON.stringify([stored]) : null, this.clock.now()],
      );
      if (rows.length === 0) throw new Failure('conflict', idTaken(id, reuse));
      const app = this.toWire(await this.row(tx, OPERATOR, id));
      return { app, ...(hasSecret && { client_secret: secret }) };
    });
  }

  /**
   * Replaces what is said of an app; the next request is answered by it. What was granted goes on,
   * unless it has a scope that the app may no longer ask for. What is so already is no change.
   *
   * @param owner - whose it will be; without it, whose it is
   * @returns `client_secret` when the app needs one now and had none
   * @throws Failure `not-found`, `forbidden` for an app that comes with the server, and as
   *   {@link AppsService.register}
   */
  async update(
    keeper: Keeper,
    id: string,
    fields: AppFields,
    owner?: string | null,
  ): Promise<AppWithSecret> {
    const metadata = { client_id: id, ...this.checked(keeper, fields) };
    const left = scopesIn(metadata.scope);
    return this.change(async (tx) => {
      const old = await this.lock(tx, keeper, id, left);
      const keeps = owner === undefined ? old.owner : owner;
      await this.checkOthers(tx, keeper, keeps, metadata);
      const needsSecret = metadata.token_endpoint_auth_method !== 'none';
      const made = needsSecret && !old.secrets ? makeClientSecret() : undefined;
      const secrets = made ? [made.stored] : needsSecret ? old.secrets : null;
      await tx.query(
        `UPDATE oauth_client SET metadata = $2, owner = $3, secrets = $4, changed_at = $5
          WHERE id = $1 AND (metadata, owner, secrets) IS DISTINCT FROM ($2, $3, $4)`,
        [id, metadata, keeps, secrets && JSON.stringify(secrets), this.clock.now()],
      );
      const gone = scopesIn(old.metadata.scope).filter((scope) => !left.includes(scope));
      await endGrants(tx, id, gone);
      const app = this.toWire(await this.row(tx, OPERATOR, id));
      return { app, ...(made && { client_secret: made.secret }) };
    });
  }

  /**
   * Makes a new secret. The one before is good for a day more.
   *
   * @param now - it ends at once
   * @throws Failure `not-found`, `forbidden`; `conflict` when the app has none
   */
  async rotateSecret(keeper: Keeper, id: string, now: boolean): Promise<AppWithSecret> {
    return this.db.transaction(async (tx) => {
      const { secrets } = await this.lock(tx, keeper, id);
      if (!secrets) {
        throw new Failure('conflict', 'This app has no secret: a change gives it one.');
      }
      const { secret, stored } = makeClientSecret();
      const until = this.clock.seconds() + OLD_SECRET_SECONDS;
      const before = now ? [] : secrets.slice(0, 1).map((one) => ({ ...one, expires_at: until }));
      await tx.query(`UPDATE oauth_client SET secrets = $2, changed_at = $3 WHERE id = $1`, [
        ...[id, JSON.stringify([stored, ...before]), this.clock.now()],
      ]);
      return { app: this.toWire(await this.row(tx, OPERATOR, id)), client_secret: secret };
    });
  }

  /**
   * Gives an app a picture, which the server shows: nobody else learns who looks at it.
   *
   * @throws Failure `not-found`, `forbidden`, `too-large`, `unsupported-media-type`
   */
  async setLogo(keeper: Keeper, id: string, bytes: Buffer): Promise<App> {
    if (bytes.length > AVATAR_BYTES_MAX) {
      throw new Failure('too-large', `A picture has at most ${AVATAR_BYTES_MAX} bytes.`);
    }
    const type = typeOfPicture(bytes);
    return this.db.transaction(async (tx) => {
      await this.lock(tx, keeper, id);
      await tx.query(
        `INSERT INTO app_logo (id, client_id, type, picture, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (client_id) DO UPDATE SET id = excluded.id, type = excluded.type,
           picture = excluded.picture, created_at = excluded.created_at`,
        [nameOfPicture(bytes), id, type, bytes, this.clock.now()],
      );
      return this.toWire(await this.row(tx, OPERATOR, id));
    });
  }

  /** @throws Failure `not-found`, `forbidden` */
  async removeLogo(keeper: Keeper, id: string): Promise<App> {
    return this.db.transaction(async (tx) => {
      await this.lock(tx, keeper, id);
      await tx.query(`DELETE FROM app_logo WHERE client_id = $1`, [id]);
      return this.toWire(await this.row(tx, OPERATOR, id));
    });
  }

  /** @throws Failure `not-found` */
  async logo(id: string): Promise<{ type: string; picture: Buffer }> {
    const [row] = await this.db.query<{ type: string; picture: Buffer }[]>(
      `SELECT type, picture FROM app_logo WHERE id = $1`,
      [id],
    );
    if (!row) throw new Failure('not-found', 'There is no such picture.');
    return row;
  }

  /**
   * Removes an app, and ends all that was granted to it. What its users stored in it stays theirs,
   * so its id is not given to another.
   *
   * @returns how many had let it in
   * @throws Failure `not-found`, `forbidden`
   */
  async remove(keeper: Keeper, id: string): Promise<number> {
    return this.change(async (tx) => {
      const { users } = await this.lock(tx, keeper, id, []);
      await endGrants(tx, id);
      await tx.query(`DELETE FROM oauth_client WHERE id = $1`, [id]);
      await tx.query(`INSERT INTO removed_app (id, removed_at) VALUES ($1, $2)`, [
        ...[id, this.clock.now()],
      ]);
      return users;
    });
  }

  /** Removes the apps of an account that was deleted. */
  private async removeOf(uid: string): Promise<undefined> {
    const rows = await this.db.query<{ id: string }[]>(
      `SELECT id FROM oauth_client WHERE owner = $1`,
      [uid],
    );
    for (const { id } of rows) await this.remove(OPERATOR, id);
    return undefined;
  }

  /**
   * Reads an app, for a change. Whoever grants it something meanwhile waits.
   *
   * @param left - scopes that it keeps, when grants of others are to end
   */
  private async lock(
    tx: EntityManager,
    keeper: Keeper,
    id: string,
    left?: readonly string[],
  ): Promise<Row> {
    await takeTurns(tx);
    const row = await this.row(tx, keeper, id);
    if (isBuiltIn(id) || row.metadata.trusted === true) {
      throw new Failure('forbidden', 'This app comes with the server, and stays as it is.');
    }
    if (left) await holdSessions(tx, id, left);
    await tx.query(`SELECT FROM oauth_client WHERE id = $1 FOR UPDATE`, [id]);
    return row;
  }

  /** Who revokes a token of the app takes the grant first, so that one of the two may have to come again. */
  private change<T>(work: (tx: EntityManager) => Promise<T>): Promise<T> {
    return retried(() => this.db.transaction(work));
  }

  private async row(tx: EntityManager, keeper: Keeper, id: string): Promise<Row> {
    const [row] = await tx.query<Row[]>(
      `${SELECT} WHERE c.id = $1 AND ($2::boolean OR c.owner = $3)`,
      [id, keeper.isOperator, keeper.uid],
    );
    if (!row) throw noSuchApp();
    return row;
  }

  private checked(keeper: Keeper, fields: AppFields): Omit<ClientMetadata, 'client_id'> {
    const metadata = checkFields(fields, this.config.publicUrl.origin);
    const logout = metadata.backchannel_logout_uri;
    if (logout !== undefined) {
      const url = parseOutsideUrl(logout, 'The address', this.config.limits.appHostsAllowed);
      if (typeof url === 'string') {
        throw new Failure('invalid-parameter', `backchannel_logout_uri: ${url}`);
      }
    }
    // The operator knows what he does; but nobody is Firefox.
    if (keeper.uid !== null && imitates(metadata.client_name)) {
      throw new Failure('invalid-parameter', 'client_name: It may be taken for another’s.');
    }
    return metadata;
  }

  /** @throws Failure `conflict` for what is another's, `over-quota` */
  private async checkOthers(
    tx: EntityManager,
    keeper: Keeper,
    owner: string | null,
    { client_id: id, client_name: name, resources = [] }: ClientMetadata,
  ): Promise<void> {
    const apps = await tx.query<Other[]>(
      `SELECT id, owner, metadata->>'client_name' AS name, metadata->'resources' AS resources
         FROM oauth_client WHERE id <> $1`,
      [id],
    );
    const others = apps.filter((other) => other.owner !== owner);
    const likeness = likenessOf(name);
    const isTaken = (other: Other) => likenessOf(other.name ?? '') === likeness;
    if (
      apps.some((one) => isBuiltIn(one.id) && isTaken(one)) ||
      (!keeper.isOperator && others.some(isTaken))
    ) {
      throw new Failure('conflict', 'client_name: Another app looks the same.');
    }
    const resource = resources.find((one) =>
      others.some((other) => other.resources?.some((two) => bare(two) === bare(one))),
    );
    if (resource !== undefined) {
      throw new Failure('conflict', `resources: ${resource} is another developer’s.`);
    }
    const owned = apps.filter((one) => one.owner === owner).length;
    if (owner !== null && !keeper.isOperator && owned >= APPS_MAX) {
      throw new Failure('over-quota', `A developer has at most ${APPS_MAX} apps.`);
    }
  }

  private toWire({ metadata, secrets, owner, email, logo, users, ...times }: Row): App {
    const { client_id: id, trusted } = metadata;
    // Only what has a place in it: a row may have been written by hand.
    const said = Object.entries(metadata).filter(([name]) => name in AppFields.shape);
    const now = this.clock.seconds();
    const good = (secrets ?? []).filter((one) => (one.expires_at ?? Infinity) > now);
    return {
      ...(Object.fromEntries(said) as AppFields),
      client_id: id,
      ...(logo !== null && { logo: logoPath(logo) }),
      secrets: good.length,
      owner: owner === null ? null : { uid: owner, email },
      built_in: isBuiltIn(id) || trusted === true,
      users,
      created_at: times.created_at.toISOString(),
      changed_at: times.changed_at.toISOString(),
    };
  }
}

/**
 * Everybody who writes an app waits here for who did so before: of two who want one name, id or
 * resource, one is refused.
 */
const takeTurns = (tx: EntityManager) =>
  tx.query(`SELECT pg_advisory_xact_lock(hashtext('lockstep:apps'))`);

/** With or without a slash at the end, an API may take it for the same. */
const bare = (uri: string) => uri.replace(/\/$/, '');

interface Other {
  id: string;
  owner: string | null;
  name: string | null;
  resources: string[] | null;
}

interface Row {
  metadata: ClientMetadata;
  owner: string | null;
  secrets: StoredSecret[] | null;
  email: string | null;
  logo: string | null;
  users: number;
  created_at: Date;
  changed_at: Date;
}

const SELECT = `
  SELECT c.metadata, c.owner, c.secrets, c.created_at, c.changed_at, a.email, l.id AS logo,
         (SELECT count(DISTINCT g.payload->>'accountId')::integer
            FROM oidc g WHERE g.client_id = c.id) AS users
    FROM oauth_client c
    LEFT JOIN account a ON a.uid = c.owner
    LEFT JOIN app_logo l ON l.client_id = c.id`;

const noSuchApp = () => new Failure('not-found', 'There is no such app.');
const idTaken = (id: string, reuse: boolean) =>
  `client_id: ${id} is ${reuse ? 'an app’s.' : 'or was an app’s; a removed one is had again by --reuse.'}`;
