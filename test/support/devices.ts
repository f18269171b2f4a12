import { createHash, randomBytes } from 'node:crypto';
import { type Device, OLD_SYNC } from '#lib/protocol';
import { type Account, bearerOf } from './account.ts';
import { get, post } from './account-api.ts';
import type { TestServer } from './test-server.ts';

export const OPEN_URI = 'https://identity.mozilla.com/cmd/open-uri';
/** Firefox for Android. */
export const FENIX = 'a2270f727f45f648';
export const laptop = { name: 'Ada’s Firefox on büro 🦊', type: 'desktop' };

/** A further session of an account, as an Authorization header. */
export async function signIn(server: TestServer, { uid }: Account): Promise<string> {
  const bearer = bearerOf(randomBytes(32).toString('hex'));
  const tokenId = Buffer.from(bearer.slice('Bearer fxs_'.length), 'hex');
  await server.db.query(
    `INSERT INTO session (id, uid, req_hmac_key, created_at, auth_at, used_at)
     VALUES ($1, $2, $3, $4, $4, $4)`,
    [
      ...[createHash('sha256').update(tokenId).digest('base64url'), uid, randomBytes(32)],
      server.clock.now(),
    ],
  );
  return bearer;
}

/** A new session with a device that takes tabs. */
export async function device(server: TestServer, account: Account, more: object = {}) {
  const authorization = await signIn(server, account);
  const body = { ...laptop, availableCommands: { [OPEN_URI]: 'keys' }, ...more };
  const answer = await post(server, 'account/device', body, authorization).expect(200);
  return { authorization, id: answer.body.id as string };
}

/** The devices of an account. */
export const devicesOf = async (
  server: TestServer,
  authorization: string,
  query = '',
): Promise<Device[]> =>
  (await get(server, `account/devices${query}`, authorization).expect(200)).body;

/** Sends a command from one device to another. */
export const invoke = (server: TestServer, authorization: string, body: object) =>
  post(server, 'account/devices/invoke_command', body, authorization);

/** A tab for a device. */
export const tab = (target: string, more: object = {}) => ({
  target,
  command: OPEN_URI,
  payload: { encrypted: 'abc' },
  ...more,
});

/** What a phone has after its page: a refresh token, and maybe a session of its own. */
export async function phone(
  server: TestServer,
  { authorization }: Account,
  scope = `profile ${OLD_SYNC}`,
) {
  const verifier = randomBytes(32).toString('base64url');
  const asked = {
    ...{ client_id: FENIX, scope, state: 'xyz', access_type: 'offline' },
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  };
  const { code } = (await post(server, 'oauth/authorization', asked, authorization)).body;
  const grant = { grant_type: 'authorization_code', client_id: FENIX, code };
  const answer = await post(server, 'oauth/token', { ...grant, code_verifier: verifier });
  const { refresh_token, session_token } = answer.body as Record<string, string>;
  return {
    authorization: `Bearer ${refresh_token}`,
    refreshToken: refresh_token,
    session: session_token === undefined ? undefined : bearerOf(session_token),
  };
}
