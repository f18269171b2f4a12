import { z } from 'zod';
import { http, post } from './server.ts';
import { bySession, type Session } from './session.ts';

/** These pages, as an app of the profile API. */
const CLIENT_ID = 'ea3ca969f8c6bb0d';
/** Both sides of an avatar, in pixels. */
export const AVATAR_SIDE = 256;

const Token = z.object({ access_token: z.string() });
const Profile = z.object({
  displayName: z.string().nullish(),
  avatar: z.string().nullish(),
  avatarDefault: z.boolean().default(true),
});
/** How an account shows itself to its apps. */
export type Profile = z.infer<typeof Profile>;

async function asOwner(session: Session): Promise<{ headers: Record<string, string> }> {
  const json = {
    grant_type: 'fxa-credentials',
    client_id: CLIENT_ID,
    scope: 'profile profile:write',
    ttl: 300,
  };
  const ask = post('oauth/token', json, bySession(session));
  const token = await http.json(ask, Token);
  return { headers: { authorization: `Bearer ${token.access_token}` } };
}

/** Asks how the account shows itself. */
export async function readProfile(session: Session): Promise<Profile> {
  return http.json({ url: '/profile/v1/profile', ...(await asOwner(session)) }, Profile);
}

/** Sets the name that apps show. */
export async function setDisplayName(session: Session, displayName: string): Promise<void> {
  const url = '/profile/v1/display_name';
  await http.run({ method: 'POST', url, json: { displayName }, ...(await asOwner(session)) });
}

/** Sets the picture. @param png - from {@link drawAvatar} */
export async function setAvatar(session: Session, png: Blob): Promise<void> {
  const { headers } = await asOwner(session);
  const bytes = new Uint8Array(await png.arrayBuffer());
  await http.run({
    ...{ method: 'POST', url: '/profile/v1/avatar/upload', bytes },
    headers: { ...headers, 'content-type': png.type },
  });
}

/** Takes the picture away. */
export async function removeAvatar(session: Session): Promise<void> {
  await http.run({ method: 'DELETE', url: '/profile/v1/avatar', ...(await asOwner(session)) });
}

/**
 * Draws the middle of a picture anew, small. What the file said besides, such as where it was taken, stays
 * here.
 *
 * @throws DOMException when it is no picture
 */
export async function drawAvatar(file: Blob): Promise<Blob> {
  const picture = await createImageBitmap(file);
  const side = Math.min(picture.width, picture.height);
  const canvas = new OffscreenCanvas(AVATAR_SIDE, AVATAR_SIDE);
  const context = canvas.getContext('2d');
  if (!context) throw new DOMException('No canvas');
  const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, left, top, side, side, 0, 0, AVATAR_SIDE, AVATAR_SIDE);
  picture.close();
  return canvas.convertToBlob({ type: 'image/png' });
}
