import type { DataSource } from 'typeorm';
import { Failure, Uid } from '#lib/protocol';
import type { DeletionsService } from '../deletion/deletions.service.ts';
import type { Clock } from '../platform/clock.ts';

/** An account, as the operator sees it in a list. Times are of ISO 8601. */
export interface UserRow {
  uid: string;
  email: string;
  verified: boolean;
  created: string;
  /** When a session of it last said anything; null when it has none. */
  used: string | null;
  sessions: number;
}

/** An account, with what it has. No content, and no key but in number. */
export interface UserDetails extends UserRow {
  passwordSet: string;
  keysChanged: string;
  devices: number;
  /** Apps that it published keys in. */
  keyLists: number;
  files: { count: number; bytes: number };
  /** Where its records are; `app` is empty for the store that browsers share. */
  stores: { uid: number; app: string; node: string; since: string }[];
}

/** An invitation that waits. */
export interface InvitationRow {
  /** The beginning of its hash. */
  id: string;
  /** Null: good for any address. */
  email: string | null;
  expires: string;
}

/** A signed-in device. */
export interface SessionRow {
  /** The beginning of a hash; lets nobody in. */
  id: string;
  uid: string;
  email: string;
  created: string;
  used: string;
  /** What its owner calls it. */
  device: string | null;
}

/** A column as ISO 8601. */
const iso = (column: string) =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** Characters of a hash that are shown, and enough to mean one. */
const SHOWN = 12;

/** What an operator may know and do about accounts: metadata, and ending things. */
export class AdminService {
  constructor(
    private readonly db: DataSource,
    private readonly deletions: DeletionsService,
    private readonly clock: Clock,
  ) {}

  /**
   * Accounts, by the time they were made.
   *
   * @param search - a part of the address
   */
  async users(search: string, limit: number): Promise<UserRow[]> {
    return this.db.query<UserRow[]>(
      `SELECT ${USER} FROM account a WHERE position($1 in normal_email) > 0
        ORDER BY created_at DESC, uid LIMIT $2`,
      [search.toLowerCase(), limit],
    );
  }

  /** @throws Failure `not-found` */
  async user(who: string): Promise<UserDetails> {
    const uid = await this.uidOf(who);
    const [row] = await this.db.query<Omit<UserDetails, 'stores'>[]>(
      `SELECT ${USER},
              ${iso('to_timestamp(verifier_set_at / 1000.0)')} AS "passwordSet",
              ${iso('to_timestamp(keys_changed_at / 1000.0)')} AS "keysChanged",
              (SELECT count(*)::integer FROM device d WHERE d.uid = a.uid) AS devices,
              (SELECT count(DISTINCT client_id)::integer FROM key_list k WHERE k.uid = a.uid) AS "keyLists",
              (SELECT jsonb_build_object('count', count(*), 'bytes', coalesce(sum(size), 0))
                 FROM file f WHERE f.root = a.uid) AS files
         FROM account a WHERE uid = $1`,
      [uid],
    );
    if (!row) throw nobody(who);
    const stores = await this.db.query<UserDetails['stores']>(
      `SELECT uid, client_id AS app, node, ${iso('created_at')} AS since FROM storage_user
        WHERE account_id = $1 AND replaced_at IS NULL ORDER BY uid`,
      [uid],
    );
    return { ...row, stores };
  }

  /**
   * Deletes an account as its owner would; a server that runs erases the rest.
   *
   * @returns its uid
   * @throws Failure `not-found`
   */
  async delete(who: string): Promise<string> {
    const uid = await this.uidOf(who);
    await this.db.transaction(async (tx) => {
      const [, count] = await tx.query<[unknown[], number]>(`DELETE FROM account WHERE uid = $1`, [
        uid,
      ]);
      if (count === 0) throw nobody(who);
      await this.deletions.enqueue(tx, uid);
    });
    return uid;
  }

  /** Accounts that look after every app of the server, on its pages. */
  async operators(): Promise<{ uid: string; email: string; since: string }[]> {
    return this.db.query<{ uid: string; email: string; since: string }[]>(
      `SELECT uid, email, ${iso('o.created_at')} AS since
         FROM operator o JOIN account a USING (uid) ORDER BY o.created_at, uid`,
    );
  }

  /**
   * Makes an account an operator of this server, or takes that away.
   *
   * @returns its uid
   * @throws Failure `not-found`
   */
  async setOperator(who: string, isOperator: boolean): Promise<string> {
    const uid = await this.uidOf(who);
    await (isOperator
      ? this.db.query(
          `INSERT INTO operator (uid, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING`,
          [uid, this.clock.now()],
        )
      : this.db.query(`DELETE FROM operator WHERE uid = $1`, [uid]));
    return uid;
  }

  /** Invitations that are still good. */
  async invitations(): Promise<InvitationRow[]> {
    return this.db.query<InvitationRow[]>(
      `SELECT left(id, ${SHOWN}) AS id, normal_email AS email, ${iso('expires_at')} AS expires
         FROM invitation WHERE expires_at > $1 ORDER BY expires_at, id`,
      [this.clock.now()],
    );
  }

  /**
   * Takes invitations back.
   *
   * @param which - an address, or the id that the list shows
   * @returns how many
   * @throws Failure `not-found`
   */
  async revokeInvitations(which: string): Promise<number> {
    const [, count] = await this.db.query<[unknown[], number]>(
      `DELETE FROM invitation WHERE normal_email = $1 OR left(id, ${SHOWN}) = $2`,
      [which.toLowerCase(), which],
    );
    if (count === 0) throw new Failure('not-found', `There is no invitation for ${which}.`);
    return count;
  }

  /**
   * Sessions, the one that was used last first.
   *
   * @param who - of one account only
   * @throws Failure `not-found`
   */
  async sessions(who: string | undefined, limit: number): Promise<SessionRow[]> {
    const uid = who === undefined ? null : await this.uidOf(who);
    return this.db.query<SessionRow[]>(
      `SELECT left(s.id, ${SHOWN}) AS id, s.uid, a.email, ${iso('s.created_at')} AS created,
              ${iso('s.used_at')} AS used, d.name AS device
         FROM session s JOIN account a USING (uid) LEFT JOIN device d ON d.session_id = s.id
        WHERE $1::text IS NULL OR s.uid = $1
        ORDER BY s.used_at DESC, s.id LIMIT $2`,
      [uid, limit],
    );
  }

  /**
   * Ends sessions, with the tokens that were given in them.
   *
   * @param which - the id that the list shows; or an address or uid, for all of the account
   * @returns how many
   * @throws Failure `not-found`
   */
  async revokeSessions(which: string): Promise<number> {
    const isAccount = which.includes('@') || Uid.safeParse(which).success;
    const [column, value] = isAccount
      ? ['uid', await this.uidOf(which)]
      : [`left(id, ${SHOWN})`, which];
    const [rows] = await this.db.query<[{ uid: string }[], number]>(
      `DELETE FROM session WHERE ${column} = $1 RETURNING uid`,
      [value],
    );
    if (rows.length === 0) throw new Failure('not-found', `There is no session of ${which}.`);
    return rows.length;
  }

  /**
   * The account that an operator means.
   *
   * @param who - address or uid
   * @throws Failure `not-found`
   */
  async uidOf(who: string): Promise<string> {
    const [account] = await this.db.query<{ uid: string }[]>(
      `SELECT uid FROM account WHERE uid = $1 OR normal_email = $2`,
      [who, who.toLowerCase()],
    );
    if (!account) throw nobody(who);
    return account.uid;
  }
}

const USER = `uid, email, verified_at IS NOT NULL AS verified, ${iso('created_at')} AS created,
  (SELECT ${iso('max(used_at)')} FROM session s WHERE s.uid = a.uid) AS used,
  (SELECT count(*)::integer FROM session s WHERE s.uid = a.uid) AS sessions`;

const nobody = (who: string) => new Failure('not-found', `There is no account ${who}.`);
