import { z } from 'zod';
import { APP_KEY, ConnectedApp } from '#lib/protocol';
import { http, post } from './server.ts';
import { bySession, type Session } from './session.ts';

/** The apps that the account let in, the last used first. */
export function connectedApps(session: Session): Promise<ConnectedApp[]> {
  const ask = { url: '/auth/v1/account/connected_apps', ...bySession(session) };
  return http.json(ask, z.array(ConnectedApp));
}

/** Takes back all that an app was given, and forgets that it was ever let in. */
export function revokeApp(session: Session, clientId: string): Promise<unknown> {
  const json = { client_id: clientId };
  return http.run(post('account/connected_apps/revoke', json, bySession(session)));
}

/** Whether somebody can have keys in an app, which the pages can look after. */
export const hasKeys = ({ scopes }: ConnectedApp): boolean =>
  scopes.includes(APP_KEY) && scopes.includes('keys:read');
