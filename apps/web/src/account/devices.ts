import { z } from 'zod';
import { AttachedClient, SecurityEvent } from '#lib/protocol';
import { http, post } from './server.ts';
import { bySession, type Session } from './session.ts';

/** What is signed in to the account: devices, sessions, apps. */
export function attachedClients(session: Session): Promise<AttachedClient[]> {
  const ask = { url: '/auth/v1/account/attached_clients', ...bySession(session) };
  return http.json(ask, z.array(AttachedClient));
}

/** Gives a device another name. */
export function renameDevice(session: Session, id: string, name: string): Promise<unknown> {
  return http.run(post('account/device/rename', { id, name }, bySession(session)));
}

/** Signs a device, a session or an app out. */
export function signOutClient(session: Session, client: AttachedClient): Promise<unknown> {
  const { clientId, deviceId, sessionTokenId, refreshTokenId } = client;
  const json = { clientId, deviceId, sessionTokenId, refreshTokenId };
  return http.run(post('account/attached_client/destroy', json, bySession(session)));
}

/** What happened to the account, newest first. */
export function securityEvents(session: Session): Promise<SecurityEvent[]> {
  const ask = { url: '/auth/v1/securityEvents', ...bySession(session) };
  return http.json(ask, z.array(SecurityEvent));
}
