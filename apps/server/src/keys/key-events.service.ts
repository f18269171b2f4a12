import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure, type KeyEvent, type KeyEvents, type Watch } from '#lib/protocol';
import type { Grant } from '../oauth/bearer.guard.ts';

/**
 * Changes are told again that were written shortly before a cursor: a transaction may be seen later
 * than it says that it took place. Milliseconds.
 */
export const OVERLAP_MS = 10_000;

interface Row {
  isMember: boolean;
  uid: string;
  /** Null for whoever is gone or hidden, or was never looked up. */
  ver: number | null;
  etag: string;
  isNew: boolean;
  cursor: string;
}

/** Tells whose keys changed, of those whom the caller has found before. */
@Injectable()
export class KeyEventsService {
  constructor(@InjectDataSource() private readonly db: DataSource) {}

  /**
   * One statement: the newest change of each, if it came after the cursor.
   *
   * @throws Failure `forbidden` to a caller without keys of their own
   */
  async since({ uid, clientId }: Grant, { uids, since = '0' }: Watch): Promise<KeyEvents> {
    const rows = await this.db.query<Row[]>(SINCE, [uid, clientId, uids, since, OVERLAP_MS]);
    if (rows[0]?.isMember !== true) {
      throw new Failure('forbidden', 'Publish your own keys in this app first.');
    }
    return {
      events: rows.flatMap(({ uid: one, ver, etag, isNew }): KeyEvent[] =>
        ver !== null && isNew ? [{ uid: one, ver, etag }] : [],
      ),
      cursor: rows[0].cursor,
      unknown: rows.filter(({ ver }) => ver === null).map(({ uid: one }) => one),
    };
  }
}

/** $1 who asks, $2 in which app, $3 of whom, $4 cursor, $5 overlap in milliseconds */
const SINCE = `
  SELECT t.uid, m.ver, m.etag, m.changed_at > to_timestamp($4::bigint / 1000.0) AS "isNew",
         EXISTS (SELECT FROM key_member me WHERE me.uid = $1 AND me.client_id = $2) AS "isMember",
         floor(extract(epoch FROM statement_timestamp()) * 1000 - $5::integer)::bigint::text AS cursor
    FROM (SELECT DISTINCT uid FROM unnest($3::text[]) AS one (uid)) t
    LEFT JOIN key_contact c
           ON c.uid = $1 AND c.client_id = $2 AND c.target = t.uid AND c.is_found
    LEFT JOIN account a ON a.uid = c.target AND a.verified_at IS NOT NULL
    LEFT JOIN key_member m
           ON m.uid = a.uid AND m.client_id = $2 AND (m.uid = $1 OR m.discoverable = 'app')
   ORDER BY m.changed_at, t.uid`;
