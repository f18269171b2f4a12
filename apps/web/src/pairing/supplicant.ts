import { z } from 'zod';
import {
  fromBase64Url,
  fromUtf8,
  generateKeysJwk,
  type KeysPrivateJwk,
  type KeysPublicJwk,
  openScopedKeys,
  randomBytes,
  sealScopedKeys,
  sha256,
  toBase64Url,
  utf8,
} from '#lib/crypto';
import { FxaToken, NEW_SESSION, OLD_SYNC, Uid } from '#lib/protocol';
import { http, post } from '../account/server.ts';
import { bySession, endSession, keepSession } from '../account/session.ts';
import { emailStatus } from '../account/sign-in.ts';
import {
  Done,
  expectOk,
  FirefoxStatus,
  giveCode,
  OAuthRequest,
  OUT_OF_BAND,
  PERSON_MS,
} from '../firefox/connect.ts';
import { askFirefox, ChannelError, tellFirefox } from '../firefox/web-channel.ts';
import { type Meeting, SecureChannel } from './secure-channel.ts';
import { ChannelRefusal } from './tls-client.ts';

/** The relay of the server that this page came from. */
const RELAY = location.origin.replace(/^http/, 'ws');
/** How long the other device has to say goodbye; it asks its page every second. */
const GOODBYE_MS = 10_000;

/** What a device asks the other one for. accounts.md §10 */
const PhoneRequest = OAuthRequest.omit({ context: true, service: true }).extend({
  context: z.string().optional(),
  redirect_uri: z.string().optional(),
});
type PhoneRequest = z.infer<typeof PhoneRequest>;
const Account = z.object({ email: z.string(), deviceName: z.string().nullish() });
const Grant = z.object({ code: z.string().min(1), state: z.string() });
type Grant = z.infer<typeof Grant>;

/** How the device around this page is signed in with the code that the other one gives. */
export interface Way {
  request: Omit<PhoneRequest, 'context' | 'redirect_uri'>;
  finish(grant: Grant): Promise<void>;
}

/** Why this browser cannot be connected. */
export class CannotConnect extends Error {
  override readonly name = 'CannotConnect';
  constructor(readonly reason: 'signedIn' | 'notFirefox' | 'broken') {
    super(reason);
  }
}

/**
 * Finds out how this browser can be signed in: a telephone says in the address what it asks for, and redeems
 * the code itself; a Firefox on a computer is asked.
 *
 * @throws CannotConnect
 */
export async function findWay(query: URLSearchParams): Promise<Way> {
  if (query.has('client_id')) return phoneWay(query);
  const status = await askFirefox('fxa_status', { service: 'sync' }, FirefoxStatus).catch(
    () => undefined,
  );
  if (status?.clientId === undefined) throw new CannotConnect('notFirefox');
  if (status.signedInUser) throw new CannotConnect('signedIn');
  return computerWay(status.clientId);
}

function phoneWay(query: URLSearchParams): Way {
  const { success, data } = PhoneRequest.safeParse(Object.fromEntries(query));
  if (!success) throw new CannotConnect('broken');
  const { context, redirect_uri: redirectUri, ...request } = data;
  const isAround = context === 'oauth_webchannel_v1' || redirectUri === OUT_OF_BAND;
  // Anywhere else, the code would be sent to whoever wrote the address.
  const landing = `${location.origin}/oauth/success/${encodeURIComponent(request.client_id)}`;
  if (!isAround && redirectUri !== landing) throw new CannotConnect('broken');
  return {
    request,
    finish({ code, state }) {
      if (isAround) {
        // Telephones do not answer.
        tellFirefox('oauth_login', { action: 'pairing', code, state, redirect: OUT_OF_BAND });
      } else {
        const query = new URLSearchParams({ code, state });
        location.assign(`${landing}?${query.toString()}`);
      }
      return Promise.resolve();
    },
  };
}

/**
 * A Firefox on a computer has a page sign it in, and takes a code from nobody else. So this page gets the
 * account's session and the Sync key from the other device, and signs Firefox in as after a password.
 */
async function computerWay(clientId: string): Promise<Way> {
  const verifier = toBase64Url(randomBytes(32));
  const { publicJwk, privateJwk } = await generateKeysJwk();
  return {
    request: {
      client_id: clientId,
      scope: `profile ${OLD_SYNC} ${NEW_SESSION}`,
      state: toBase64Url(randomBytes(16)),
      code_challenge: toBase64Url(sha256(utf8(verifier))),
      code_challenge_method: 'S256',
      access_type: 'offline',
      keys_jwk: toBase64Url(utf8(JSON.stringify(publicJwk))),
    },
    finish: (grant) => signFirefoxIn({ clientId, verifier, privateJwk, grant }),
  };
}

async function signFirefoxIn(own: {
  clientId: string;
  verifier: string;
  privateJwk: KeysPrivateJwk;
  grant: Grant;
}): Promise<void> {
  const redeem = post('oauth/token', {
    ...{ grant_type: 'authorization_code', client_id: own.clientId },
    ...{ code: own.grant.code, code_verifier: own.verifier },
  });
  const token = await http.json(redeem, FxaToken);
  const { session_token: sessionToken, keys_jwe: keysJwe } = token;
  if (sessionToken === undefined) throw new ChannelError('failed');
  try {
    const by = bySession({ sessionToken });
    const { uid } = await http.json(
      { url: '/auth/v1/session/status', ...by },
      z.object({ uid: Uid }),
    );
    const { email } = await emailStatus({ uid, email: '', sessionToken });
    const may = await askFirefox('can_link_account', { email, uid }, Done, PERSON_MS);
    if (may.ok !== true) throw new ChannelError('failed');
    const keys = keysJwe === undefined ? {} : await openScopedKeys(keysJwe, own.privateJwk);
    const syncKey = keys[OLD_SYNC];
    const user = { uid, email, sessionToken };
    await expectOk('login', { ...user, verified: true, services: { sync: {} } });
    const scopes = ['profile', OLD_SYNC];
    const asked = await askFirefox(
      'oauth_flow_begin',
      { scopes },
      OAuthRequest.omit({ context: true }),
    );
    if (syncKey === undefined || asked.keys_jwk === undefined) throw new ChannelError('failed');
    const jwk = JSON.parse(fromUtf8(fromBase64Url(asked.keys_jwk))) as KeysPublicJwk;
    const sealed = await sealScopedKeys(jwk, { [OLD_SYNC]: syncKey });
    await giveCode(user, asked, { action: 'pairing', keysJwe: sealed });
    keepSession({ ...user, firefox: true });
  } catch (error) {
    // Nobody has it, or nobody will use it.
    await endSession({ sessionToken }).catch(() => undefined);
    throw error;
  }
}

/** The other device, which knows the account. */
export interface Met {
  email: string;
  /** What it calls itself. */
  device: string;
  /** Says that it is so; resolves when this device is signed in. */
  confirm(): Promise<void>;
  /** Leaves. */
  refuse(): Promise<void>;
}

/** Meets the device that shows the code. @throws ChannelRefusal */
export async function meet(meeting: Meeting, way: Way): Promise<Met> {
  const channel = await SecureChannel.connect(RELAY, meeting);
  try {
    await channel.send('pair:supp:request', way.request);
    const { email, deviceName } = await channel.next('pair:auth:metadata', Account);
    return {
      email,
      device: deviceName ?? '',
      confirm: () => confirm(channel, way),
      refuse: () => channel.close(),
    };
  } catch (error) {
    await channel.close();
    throw error;
  }
}

async function confirm(channel: SecureChannel, way: Way): Promise<void> {
  try {
    await channel.send('pair:supp:authorize');
    const grant = await channel.next('pair:auth:authorize', Grant);
    if (grant.state !== way.request.state) throw new ChannelRefusal('It answers somebody else.');
    // Whoever leaves first makes the other think that it was lost.
    await Promise.race([channel.ended(), new Promise((done) => setTimeout(done, GOODBYE_MS))]);
    await way.finish(grant);
  } finally {
    await channel.close().catch(() => undefined);
  }
}
