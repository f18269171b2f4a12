import { z } from 'zod';
import { type ScopedKey, sealKeysFor } from '#lib/client';
import { toHex } from '#lib/crypto';
import { OLD_SYNC } from '#lib/protocol';
import { http, post } from '../account/server.ts';
import { bySession, endSession } from '../account/session.ts';
import { type Opened, scopedKeys } from '../account/sign-in.ts';
import { askFirefox, ChannelError } from './web-channel.ts';

/** What Firefox writes into the address of the page: firefox.md §3 */
export const OAuthRequest = z.object({
  context: z.literal('oauth_webchannel_v1'),
  client_id: z.string().min(1),
  scope: z.string().min(1),
  state: z.string().min(1),
  code_challenge: z.string().min(1),
  code_challenge_method: z.literal('S256'),
  access_type: z.string().default('offline'),
  keys_jwk: z.string().optional(),
  service: z.string().optional(),
});
/** What a Firefox that is to be signed in asks for. */
export type OAuthRequest = z.infer<typeof OAuthRequest>;
/** Firefox before it took keys by OAuth: it fetches and derives them itself. firefox.md §7 */
const OlderRequest = z.object({
  context: z.literal('fx_desktop_v3'),
  service: z.string().optional(),
});
const Request = z.discriminatedUnion('context', [OAuthRequest, OlderRequest]);
export type FirefoxRequest = z.infer<typeof Request>;

/** Where the code goes: to the Firefox around the page. */
export const OUT_OF_BAND = 'urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel';
/** Firefox may first ask the person whether to merge; that takes as long as it takes. */
export const PERSON_MS = 600_000;
const FINISH_MS = 60_000;

/** What every Firefox syncs; an older one names only what it can besides. */
const USUAL_ENGINES = ['addons', 'bookmarks', 'history', 'passwords', 'prefs', 'tabs'];

/** An answer that is yes or no. */
export const Done = z.object({ ok: z.boolean().optional() });
/** What Firefox says about itself. */
export const FirefoxStatus = z.object({
  clientId: z.string().optional(),
  signedInUser: z
    .object({
      email: z.string(),
      uid: z.string(),
      sessionToken: z.string().nullish(),
      verified: z.boolean().nullish(),
    })
    .nullish(),
  capabilities: z
    .object({
      choose_what_to_sync: z.boolean().default(false),
      pairing: z.boolean().default(false),
      engines: z.array(z.string()).default([]),
    })
    .prefault({}),
});
export type FirefoxStatus = z.infer<typeof FirefoxStatus>;
const Authorization = z.object({ code: z.string(), state: z.string() });

/** Whether a Firefox opened this page to be signed in. */
export const isFirefoxFlow = (query: URLSearchParams): boolean =>
  ['oauth_webchannel_v1', 'fx_desktop_v3'].includes(query.get('context') ?? '');

/** Firefox's request; undefined when something in the address is missing. */
export function readRequest(query: URLSearchParams): FirefoxRequest | undefined {
  return Request.safeParse(Object.fromEntries(query)).data;
}

/** Asks Firefox who it is and what it can sync. @throws ChannelError */
export const firefoxStatus = (query: URLSearchParams): Promise<FirefoxStatus> =>
  askFirefox(
    'fxa_status',
    {
      service: query.get('service') ?? 'sync',
      context: query.get('context') ?? '',
      isPairing: false,
    },
    FirefoxStatus,
  );

/** What a person can choose to sync; nothing when Firefox leaves no choice. */
export function enginesOf(
  { context }: FirefoxRequest,
  status: FirefoxStatus | undefined,
): string[] {
  if (status?.capabilities.choose_what_to_sync !== true) return [];
  const { engines } = status.capabilities;
  return context === 'fx_desktop_v3' ? [...new Set([...USUAL_ENGINES, ...engines])] : engines;
}

/** What a person who signs up wants to sync; undefined leaves it to the account's other devices. */
export interface SyncChoice {
  offered: readonly string[];
  declined: readonly string[];
}

/**
 * Signs Firefox in: asks whether it may take this account, hands it the session, then an authorization code
 * with the keys sealed to Firefox. The keys themselves pass through the server as ciphertext. An older one is
 * handed, with the session, what fetches and unwraps them.
 *
 * @returns false when Firefox refuses the account
 * @throws ChannelError, ClientError
 */
export async function connectFirefox(
  account: Opened,
  request: FirefoxRequest,
  action: 'signin' | 'signup',
  choice: SyncChoice | undefined,
): Promise<boolean> {
  const { uid, email, sessionToken } = account;
  // First, since it answers at once if anybody does; the next question may be for the person.
  const { signedInUser } = await askFirefox('fxa_status', { service: 'sync' }, FirefoxStatus);
  const may = await askFirefox('can_link_account', { email, uid }, Done, PERSON_MS);
  if (may.ok !== true) {
    await endSession(account);
    return false;
  }
  const isOlder = request.context === 'fx_desktop_v3';
  const wantsSync = isOlder
    ? request.service === 'sync'
    : request.scope.split(' ').includes(OLD_SYNC);
  const sync = choice && { offeredEngines: choice.offered, declinedEngines: choice.declined };
  await expectOk('login', {
    ...{ uid, email, sessionToken, verified: true },
    ...(isOlder && keysFor(account)),
    services: wantsSync ? { sync: sync ?? {} } : {},
  });
  if (signedInUser?.uid === uid) {
    // It lost an earlier session of this account. Without this it would keep the id of a device that ended
    // with it, and never register again.
    await expectOk('change_password', { uid, email, sessionToken, verified: true });
  }
  if (!isOlder) await finish(account, request, action);
  return true;
}

/** What an older Firefox makes the keys of. */
function keysFor(account: Opened) {
  const { keyFetchToken, unwrapBKey } = account.keyAccess();
  return { keyFetchToken, unwrapBKey: toHex(unwrapBKey) };
}

async function finish(
  account: Opened,
  request: OAuthRequest,
  action: 'signin' | 'signup',
): Promise<void> {
  const { keys_jwk: keysJwk } = request;
  const keys: Record<string, ScopedKey> =
    keysJwk === undefined ? {} : await scopedKeys(account, request.client_id, request.scope);
  const hasKeys = keysJwk !== undefined && Object.keys(keys).length > 0;
  const keysJwe = hasKeys ? await sealKeysFor(keysJwk, keys) : undefined;
  await giveCode(account, request, { action, keysJwe });
}

/**
 * Gets a code for Firefox, by a session that it was told of, and hands it over.
 *
 * @throws ChannelError, ClientError
 */
export async function giveCode(
  by: Pick<Opened, 'sessionToken'>,
  request: Omit<OAuthRequest, 'context' | 'service'>,
  how: { action: 'signin' | 'signup' | 'pairing'; keysJwe: string | undefined },
): Promise<void> {
  const json = {
    ...{ client_id: request.client_id, response_type: 'code', scope: request.scope },
    ...{ state: request.state, access_type: request.access_type },
    code_challenge: request.code_challenge,
    code_challenge_method: request.code_challenge_method,
    ...(how.keysJwe !== undefined && { keys_jwe: how.keysJwe }),
  };
  const ask = post('oauth/authorization', json, bySession(by));
  const { code, state } = await http.json(ask, Authorization);
  await expectOk('oauth_login', { action: how.action, code, state, redirect: OUT_OF_BAND });
}

/** Asks Firefox to do what takes a while. @throws ChannelError also when it says no */
export async function expectOk(command: string, data: object): Promise<void> {
  const { ok } = await askFirefox(command, data, Done, FINISH_MS);
  if (ok !== true) throw new ChannelError('failed');
}
