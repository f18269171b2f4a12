import {
  APP_KEY,
  type AskedOfAccount,
  DeviceDetails,
  InteractionDetails,
  InteractionFinished,
  OLD_SYNC,
} from '#lib/protocol';
import type { Account } from './account.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { CookieJar } from './cookie-jar.ts';
import type { StartedOnDevice } from './device-grant.ts';
import { isRedirectTo } from './redirect.ts';
import { type ScopedKey, sealKeysFor } from './scoped-keys.ts';

/** What an app is given when its request is granted. */
export interface Authorized {
  /** The app's redirect URI, with `code`, `state` and `iss`. */
  redirect: string;
  /** The keys that were sealed to the app, by scope. */
  keys: Readonly<Record<string, ScopedKey>>;
}

const REDIRECTS_MAX = 10;

/**
 * Grants an app's authorization request, as the account page does, over HTTP alone. The page's part of the
 * protocol is: read the details, derive the keys the app asks for, seal them to the key in the request, and
 * finish with the session's signature. It needs to read redirects, so it runs in Node; the page in a browser
 * makes the same two calls of `/oauth2/interaction`.
 *
 * @param authorizationUrl - from `App.start`
 * @throws IntegrityError `KEYS_REPLACED` when the server puts another app, another key or more scopes in the
 * request's place
 * @throws ClientError when the server refuses the request
 * @see docs/protocol/oauth.md
 */
export async function authorize(account: Account, authorizationUrl: string): Promise<Authorized> {
  const { http } = account.server;
  const asked = new URL(authorizationUrl).searchParams;
  const redirectUri = asked.get('redirect_uri') ?? '';
  const jar = new CookieJar();

  const visit = async (from: string): Promise<string> => {
    let url = from;
    for (let hops = 0; hops < REDIRECTS_MAX; hops++) {
      const response = await http.send({ url, headers: jar.headersFor(url), redirect: 'manual' });
      await response.body?.cancel();
      jar.take(url, response.headers);
      const location = response.headers.get('location');
      if (location === null) return url;
      url = new URL(location, url).href;
      if (isRedirectTo(url, redirectUri)) return url;
      if (interactionOf(url) !== undefined) return url;
    }
    throw new ClientError('malformed-answer', 0, 'The server redirects without end.');
  };

  const page = await visit(authorizationUrl);
  const interaction = interactionOf(page);
  if (interaction === undefined) throw refusedIn(page);
  const base = `${http.server}/oauth2/interaction/${interaction}`;
  const details = await http.json(
    { url: `${base}/details`, headers: jar.headersFor(`${base}/details`) },
    InteractionDetails,
  );
  const { keys, sealed } = await answerTo(account, details, {
    clientId: asked.get('client_id') ?? '',
    keysJwk: asked.get('keys_jwk') ?? undefined,
    scopes: (asked.get('scope') ?? '').split(' '),
  });
  const finish = account.signed({
    method: 'POST',
    url: `${base}/finish`,
    headers: jar.headersFor(`${base}/finish`),
    json: { consent: true, ...sealed },
  });
  const { data, headers } = await http.answer(finish, InteractionFinished);
  jar.take(`${base}/finish`, headers);
  const redirect = await visit(new URL(data.redirect, base).href);
  if (!isRedirectTo(redirect, redirectUri)) throw refusedIn(redirect);
  return { redirect, keys };
}

/**
 * Lets in a device that shows a code, as the page `/device` does.
 *
 * @param started - from `startOnDevice`, where the request itself is
 * @returns the keys that were sealed to the app, by scope
 * @throws as `authorize`
 */
export async function approveDevice(
  account: Account,
  started: StartedOnDevice,
): Promise<Readonly<Record<string, ScopedKey>>> {
  const { http } = account.server;
  const asked = { user_code: started.prompt.userCode };
  const ask = { method: 'POST', url: '/oauth2/device/details', json: asked } as const;
  const details = await http.json(account.signed(ask), DeviceDetails);
  const { keys, sealed } = await answerTo(account, details, started);
  const json = { ...asked, uid: details.uid, consent: true, ...sealed };
  await http.run(account.signed({ method: 'POST', url: '/oauth2/device/finish', json }));
  return keys;
}

/**
 * Derives what an app may have, and seals it. What the app asked for is read from its own request: the server
 * must not put another in its place, or add the key of Firefox to it.
 */
async function answerTo(
  account: Account,
  details: AskedOfAccount,
  asked: { clientId: string; keysJwk: string | undefined; scopes: readonly string[] },
): Promise<{ keys: Readonly<Record<string, ScopedKey>>; sealed: { keys_jwe?: string } }> {
  const { clientId, keysJwk } = asked;
  if (details.client.client_id !== clientId || details.keys_jwk !== keysJwk) {
    throw new IntegrityError('KEYS_REPLACED', 'The server answers for another request.');
  }
  if (!details.scopes.every((name) => asked.scopes.includes(name))) {
    throw new IntegrityError('KEYS_REPLACED', 'The server adds scopes to the request.');
  }
  if (keysJwk === undefined) return { keys: {}, sealed: {} };
  const scope = details.scopes.filter((name) => name === APP_KEY || name === OLD_SYNC).join(' ');
  const keys = scope === '' ? {} : await account.scopedKeys(clientId, scope);
  return { keys, sealed: { keys_jwe: await sealKeysFor(keysJwk, keys) } };
}

const interactionOf = (url: string) =>
  /\/oauth2\/interaction\/([A-Za-z0-9_-]{8,64})$/.exec(new URL(url).pathname)?.[1];

function refusedIn(url: string): ClientError {
  const { searchParams } = new URL(url);
  const error = searchParams.get('error') ?? 'malformed-answer';
  const detail = searchParams.get('error_description') ?? 'The authorization did not begin.';
  return new ClientError(error, 0, detail);
}
