import {
  deriveAuthPW,
  deriveToken,
  deriveUnwrapBKey,
  fromHex,
  makeClientSalt,
  openKeysBundle,
  quickStretch,
  quickStretchV2,
  toHex,
  xor,
} from '#lib/crypto';
import { CredentialsStatus, type KeyFetch, KeysBundle, type NewPassword } from '#lib/protocol';
import { bearing, http, post } from './server.ts';

/** What a person types. */
export interface Typed {
  email: string;
  password: string;
}

/** What a password becomes: one half for the server, one that stays. */
export interface Stretched {
  /** 64 hex digits. */
  authPW: string;
  /** 32 bytes. */
  unwrapBKey: Uint8Array;
}

/** An address in the one spelling that these pages use, whatever the keyboard made of its first letter. */
export const spelled = (email: string): string => email.trim().normalize('NFKC').toLowerCase();

const halves = (stretched: Uint8Array): Stretched => ({
  authPW: toHex(deriveAuthPW(stretched)),
  unwrapBKey: deriveUnwrapBKey(stretched),
});

/**
 * Stretches a password as its account has it: since these pages set it by v2, otherwise by v1, where the
 * spelling of the address matters.
 */
export async function stretch({ email, password }: Typed): Promise<Stretched> {
  const ask = post('account/credentials/status', { email });
  const { clientSalt } = await http.json(ask, CredentialsStatus);
  return halves(
    clientSalt === undefined
      ? await quickStretch(email, password)
      : await quickStretchV2(clientSalt, password),
  );
}

/**
 * Makes what the server gets of a new password: both stretchings, since Firefox's own code knows the first
 * alone, and kB wrapped by each.
 *
 * @param email - in the spelling of sign-up
 * @param kB - 32 bytes
 */
export async function makePassword(
  { email, password }: Typed,
  kB: Uint8Array,
): Promise<{ json: Required<NewPassword>; stretched: Stretched }> {
  const clientSalt = makeClientSalt();
  const [v1, v2] = [
    halves(await quickStretch(email, password)),
    halves(await quickStretchV2(clientSalt, password)),
  ];
  const json: Required<NewPassword> = {
    authPW: v1.authPW,
    wrapKb: toHex(xor(kB, v1.unwrapBKey)),
    authPWVersion2: v2.authPW,
    wrapKbVersion2: toHex(xor(kB, v2.unwrapBKey)),
    clientSalt,
  };
  return { json, stretched: v2 };
}

/** What fetches the account's keys, which works once, and what unwraps them. Who has both has kB. */
export interface KeyAccess {
  /** 64 hex digits. */
  keyFetchToken: string;
  /** 32 bytes, of the stretching that the token came by. */
  unwrapBKey: Uint8Array;
}

/**
 * Pairs what an answer gave with what opens it.
 *
 * @param fetch - from an answer to the same stretching that `unwrapBKey` is of
 */
export function keyAccess(
  { keyFetchToken, keyFetchTokenVersion2 }: KeyFetch,
  { unwrapBKey }: Stretched,
): KeyAccess {
  const token = keyFetchTokenVersion2 ?? keyFetchToken;
  if (token === undefined) throw new TypeError('The server gave no leave to fetch keys.');
  return { keyFetchToken: token, unwrapBKey };
}

/**
 * Fetches the account's keys, which works once, and unwraps kB: 32 bytes.
 *
 * @param fetch - from an answer to the same stretching that `unwrapBKey` is of
 * @throws CryptoRefusal `bundle-forged` when they were altered on their way
 */
export async function fetchKB(fetch: KeyFetch, stretched: Stretched): Promise<Uint8Array> {
  const { keyFetchToken: token, unwrapBKey } = keyAccess(fetch, stretched);
  const ask = { url: '/auth/v1/account/keys', retry: false, ...bearing('keyFetchToken', token) };
  const { bundle } = await http.json(ask, KeysBundle);
  const { bundleKey } = deriveToken(fromHex(token), 'keyFetchToken');
  return xor(openKeysBundle(bundleKey, fromHex(bundle)).wrapKb, unwrapBKey);
}
