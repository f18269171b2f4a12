import { z } from 'zod';
import { ClientError } from '#lib/client';
import { App, type AppFields, AppList, AppWithSecret } from '#lib/protocol';
import { http } from '../account/server.ts';
import { bySession, type Session } from '../account/session.ts';

const at = (id = '', part = '') =>
  `/apps/v1/apps${id === '' ? '' : `/${encodeURIComponent(id)}`}${part}`;

/** The apps of who is signed in; of an operator, all. */
export const listApps = (session: Session): Promise<AppList> =>
  http.json({ url: at(), ...bySession(session) }, AppList);

/** One of them. */
export const showApp = (session: Session, id: string): Promise<App> =>
  http.json({ url: at(id), ...bySession(session) }, App);

/** Registers an app. */
export const registerApp = (session: Session, json: AppFields): Promise<AppWithSecret> =>
  http.json({ method: 'POST', url: at(), json, ...bySession(session) }, AppWithSecret);

/** Replaces what is said of an app. */
export const changeApp = (session: Session, id: string, json: AppFields): Promise<AppWithSecret> =>
  http.json({ method: 'PUT', url: at(id), json, ...bySession(session) }, AppWithSecret);

/** Makes a new secret. @param now - the one before ends at once */
export const rotateSecret = (session: Session, id: string, now: boolean): Promise<AppWithSecret> =>
  http.json(
    { method: 'POST', url: at(id, '/secret'), json: { now }, ...bySession(session) },
    AppWithSecret,
  );

/** Removes an app, for all who use it. */
export const removeApp = (session: Session, id: string): Promise<unknown> =>
  http.run({ method: 'DELETE', url: at(id), ...bySession(session) });

/** Gives an app a picture. @param png - from `drawAvatar` */
export async function setLogo(session: Session, id: string, png: Blob): Promise<void> {
  const bytes = new Uint8Array(await png.arrayBuffer());
  const { headers } = bySession(session);
  await http.run({
    ...{ method: 'PUT', url: at(id, '/logo'), bytes },
    headers: { ...headers, 'content-type': png.type },
  });
}

/** Takes the picture away. */
export const removeLogo = (session: Session, id: string): Promise<unknown> =>
  http.run({ method: 'DELETE', url: at(id, '/logo'), ...bySession(session) });

const Refused = z.enum(['invalid-parameter', 'conflict']);

/**
 * The field of an app that a refusal is about, as RFC 7591 calls it, and the server's own words: they have
 * one language, which developers read elsewhere, too.
 */
export function refusalOf(error: unknown): { field: string; why: string } | undefined {
  if (!(error instanceof ClientError) || !Refused.safeParse(error.code).success) return undefined;
  const [, field = '', why = ''] = /^([a-z_]+)\b:?\s*(.*)$/s.exec(error.detail) ?? [];
  return { field, why };
}
