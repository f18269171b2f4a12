import { APP_KEY, InteractionDetails, InteractionFinished, OLD_SYNC } from '#lib/protocol';
import type { Account } from './account.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { CookieJar } from './cookie-jar.ts';
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
  const keysJwk = asked.get('keys_jwk') ?? undefined;
  if (details.client.client_id !== asked.get('client_id') || details.keys_jwk !== keysJwk) {
    throw new IntegrityError('KEYS_REPLACED', 'The server answers for another request.');
  }

  // What the app asked for is read from its own request: the server must not add the key of Firefox to it.
  const wanted = (asked.get('scope') ?? '').split(' ');
  if (!details.scopes.every((name) => wanted.includes(name))) {
    throw new IntegrityError('KEYS_REPLACED', 'The server adds scopes to the request.');
  }
  const scope = details.scopes.filter((name) => name === APP_KEY || name === OLD_SYNC).join(' ');
  const keys =
    keysJwk === undefined || scope === ''
      ? {}
      : await account.scopedKeys(details.client.client_id, scope);
  const finish = account.signed({
    method: 'POST',
    url: `${base}/finish`,
    headers: jar.headersFor(`${base}/finish`),
    json: {
      consent: true,
      ...(keysJwk !== undefined && { keys_jwe: await sealKeysFor(keysJwk, keys) }),
    },
  });
  const { data, headers } = await http.answer(finish, InteractionFinished);
  jar.take(`${base}/finish`, headers);
  const redirect = await visit(new URL(data.redirect, base).href);
  if (!isRedirectTo(redirect, redirectUri)) throw refusedIn(redirect);
  return { redirect, keys };
}

const interactionOf = (url: string) =>
  /\/oauth2\/interaction\/([A-Za-z0-9_-]{8,64})$/.exec(new URL(url).pathname)?.[1];

function refusedIn(url: string): ClientError {
  const { searchParams } = new URL(url);
  const error = searchParams.get('error') ?? 'malformed-answer';
  const detail = searchParams.get('error_description') ?? 'The authorization did not begin.';
  return new ClientError(error, 0, detail);
}
