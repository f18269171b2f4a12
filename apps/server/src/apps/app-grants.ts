import type { EntityManager } from 'typeorm';

/**
 * Has those wait who would sign out of an app, before the app itself is taken: who signs out takes the
 * session first, then the grant, then the app, which is to hear of it.
 *
 * @param left - scopes that the app keeps: who granted no other has nothing to wait for
 */
export async function holdSessions(
  tx: EntityManager,
  id: string,
  left: readonly string[],
): Promise<void> {
  // Not their keys: who is just letting the app in refers to a session, and goes on.
  await tx.query(
    `SELECT FROM session WHERE id IN (
       SELECT session_id FROM oidc
        WHERE client_id = $1 AND NOT string_to_array(payload#>>'{openid,scope}', ' ') <@ $2)
      ORDER BY id FOR NO KEY UPDATE`,
    [id, left],
  );
}

/**
 * Ends grants of an app, with the sessions that they brought along.
 *
 * @param scopes - only those that have one of these; people are asked for it anew, should it come back
 */
export async function endGrants(
  tx: EntityManager,
  id: string,
  scopes?: readonly string[],
): Promise<void> {
  if (scopes?.length === 0) return;
  await tx.query(
    `WITH gone AS (
       DELETE FROM oidc WHERE client_id = $1 AND ($2::text[] IS NULL
           OR string_to_array(payload#>>'{openid,scope}', ' ') && $2)
       RETURNING session_id, owns_session),
     forgotten AS (
       UPDATE consent SET scopes = ARRAY(SELECT unnest(scopes) EXCEPT SELECT unnest($2))
        WHERE client_id = $1 AND scopes && $2)
     DELETE FROM session USING gone WHERE session.id = gone.session_id AND gone.owns_session`,
    [id, scopes ?? null],
  );
}
