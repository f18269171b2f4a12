import { type ScopedKey, sealKeysFor } from '#lib/client';
import { InteractionDetails, InteractionFinished } from '#lib/protocol';
import { http } from './server.ts';
import { bySession } from './session.ts';
import { type Opened, scopedKeys } from './sign-in.ts';

const at = (id: string) => `/oauth2/interaction/${encodeURIComponent(id)}`;

/** What an app asks for. @throws ClientError when another browser began, or it is over */
export function readInteraction(id: string): Promise<InteractionDetails> {
  return http.json({ url: `${at(id)}/details` }, InteractionDetails);
}

/** Leaves for where the server says, which is a page of its own that sends on to the app. */
function leaveFor(redirect: string): void {
  const url = new URL(redirect, location.origin);
  // Where the app is, the server alone decides, by what is registered; this page goes nowhere else.
  if (url.origin !== location.origin) throw new TypeError('The server sends elsewhere.');
  location.assign(url.href);
}

/** Gives the app what it asks for, with its keys sealed to it, and goes back to it. */
export async function consent(asked: InteractionDetails, account: Opened): Promise<void> {
  const { keys_jwk: keysJwk, client } = asked;
  const keys: Record<string, ScopedKey> =
    keysJwk === undefined
      ? {}
      : await scopedKeys(account, client.client_id, asked.scopes.join(' '));
  const json = {
    consent: true,
    ...(keysJwk !== undefined && { keys_jwe: await sealKeysFor(keysJwk, keys) }),
  };
  const ask = { method: 'POST', url: `${at(asked.uid)}/finish`, json } as const;
  const { redirect } = await http.json({ ...ask, ...bySession(account) }, InteractionFinished);
  leaveFor(redirect);
}

/** Goes back to the app with a refusal. */
export async function refuse(asked: InteractionDetails, account?: Opened): Promise<void> {
  const json = { consent: false };
  const ask = { method: 'POST', url: `${at(asked.uid)}/finish`, json } as const;
  const by = account ? bySession(account) : {};
  leaveFor((await http.json({ ...ask, ...by }, InteractionFinished)).redirect);
}
