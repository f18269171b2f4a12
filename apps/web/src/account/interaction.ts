import { ClientError, type ScopedKey, sealKeysFor } from '#lib/client';
import {
  type AskedOfAccount,
  InteractionDetails,
  InteractionFinished,
  SignedIn,
} from '#lib/protocol';
import { http, post } from './server.ts';
import { bySession, forgetSession, type Session, session } from './session.ts';
import { type Opened, scopedKeys } from './sign-in.ts';

const at = (id: string) => `/oauth2/interaction/${encodeURIComponent(id)}`;

/** Asks as who is signed in on these pages; a session that is over is forgotten, and nobody asks. */
export async function asIfSignedIn<T>(ask: (by: Session | undefined) => Promise<T>): Promise<T> {
  try {
    return await ask(session.peek());
  } catch (error) {
    if (!(error instanceof ClientError) || error.status !== 401) throw error;
    forgetSession();
    return ask(undefined);
  }
}

/** What an app asks for. @throws ClientError when another browser began, or it is over */
export function readInteraction(
  id: string,
  account: Pick<Session, 'sessionToken'> | undefined,
): Promise<InteractionDetails> {
  const by = account ? bySession(account) : {};
  return http.json({ url: `${at(id)}/details`, ...by }, InteractionDetails);
}

/** Whether the account let the app do all of this before. */
export const isKnown = ({ granted, scopes }: AskedOfAccount): boolean =>
  granted !== undefined && scopes.every((scope) => granted.scopes.includes(scope));

/** Leaves for where the server says, which is a page of its own that sends on to the app. */
function leaveFor(redirect: string): void {
  const url = new URL(redirect, location.origin);
  // Where the app is, the server alone decides, by what is registered; this page goes nowhere else.
  if (url.origin !== location.origin) throw new TypeError('The server sends elsewhere.');
  location.assign(url.href);
}

/** What a yes consists of: the app's keys, sealed to it, when it asks for any. */
export async function yesTo(asked: AskedOfAccount, account: Opened): Promise<object> {
  const { keys_jwk: keysJwk, client } = asked;
  // The session was made on this page, for this answer.
  const yes = { consent: true, own_session: true };
  if (keysJwk === undefined) return yes;
  const keys: Record<string, ScopedKey> = await scopedKeys(
    account,
    client.client_id,
    asked.scopes.join(' '),
  );
  return { ...yes, keys_jwe: await sealKeysFor(keysJwk, keys) };
}

/** Gives the app what it asks for, with its keys sealed to it, and goes back to it. */
export async function consent(asked: InteractionDetails, account: Opened): Promise<void> {
  await finish(asked, await yesTo(asked, account), account);
}

/** Lets a known app, which asks for no keys, go on without the password, in a session of its own. */
export async function consentAgain(asked: InteractionDetails, account: Session): Promise<void> {
  const ask = post('session/duplicate', {}, bySession(account));
  const duplicate = await http.json(ask, SignedIn);
  await finish(asked, { consent: true, own_session: true }, duplicate);
}

/** Goes back to the app with a refusal. */
export function refuse(asked: InteractionDetails, account?: Opened): Promise<void> {
  return finish(asked, { consent: false }, account);
}

async function finish(
  { uid }: InteractionDetails,
  json: object,
  account: Pick<Session, 'sessionToken'> | undefined,
): Promise<void> {
  const by = account ? bySession(account) : {};
  const ask = { method: 'POST', url: `${at(uid)}/finish`, json, ...by } as const;
  leaveFor((await http.json(ask, InteractionFinished)).redirect);
}
