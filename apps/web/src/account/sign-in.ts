import { deriveScopedKeys, type ScopedKey } from '#lib/client';
import {
  deriveAuthPW,
  deriveToken,
  deriveUnwrapBKey,
  fromHex,
  openKeysBundle,
  quickStretch,
  toHex,
  xor,
} from '#lib/crypto';
import {
  type CreateAccount,
  EmailStatus,
  KeysBundle,
  type Login,
  ScopedKeyDataByScope,
  SignedIn,
} from '#lib/protocol';
import { bearing, http, isErrno } from './server.ts';
import { bySession, type Session } from './session.ts';

/** What a person types. */
export interface Typed {
  email: string;
  password: string;
}

/** An account whose password was typed on this page. It lasts as long as the page does. */
export interface Opened extends Session {
  /** Whether the address is confirmed; until then the server gives no keys. */
  verified: boolean;
  /** Asks for the account's keys, once, and unwraps kB: 32 bytes. */
  fetchKB(): Promise<Uint8Array>;
}

/** What a password becomes: one half for the server, one that stays. */
export interface Stretched {
  /** 64 hex digits. */
  authPW: string;
  /** 32 bytes. */
  unwrapBKey: Uint8Array;
}

/** An address as it is stretched with: one spelling, whatever the keyboard made of the first letter. */
export const spelled = (email: string): string => email.trim().normalize('NFKC').toLowerCase();

/** Stretches a password with the spelling of the address that the account was made with. */
export async function stretch({ email, password }: Typed): Promise<Stretched> {
  const stretched = await quickStretch(email, password);
  return { authPW: toHex(deriveAuthPW(stretched)), unwrapBKey: deriveUnwrapBKey(stretched) };
}

function opened(email: string, answer: SignedIn, { unwrapBKey }: Stretched): Opened {
  const { uid, sessionToken, keyFetchToken, verified } = answer;
  let fetched: Promise<Uint8Array> | undefined;
  const fetchKB = async () => {
    if (keyFetchToken === undefined) throw new TypeError('No key fetch token.');
    const by = bearing('keyFetchToken', keyFetchToken);
    const { bundle } = await http.json({ url: '/auth/v1/account/keys', ...by }, KeysBundle);
    const { bundleKey } = deriveToken(fromHex(keyFetchToken), 'keyFetchToken');
    return xor(openKeysBundle(bundleKey, fromHex(bundle)).wrapKb, unwrapBKey);
  };
  return {
    ...{ uid, email, sessionToken, verified },
    fetchKB: () => (fetched ??= fetchKB()),
  };
}

/** Makes an account; a code is mailed to the address, unless an invitation vouches for it. */
export async function signUp(typed: Typed, invitation: string): Promise<Opened> {
  const email = spelled(typed.email);
  const stretched = await stretch({ email, password: typed.password });
  const json: CreateAccount = {
    ...{ email, authPW: stretched.authPW },
    ...(invitation !== '' && { invitation: invitation.trim() }),
  };
  const ask = { method: 'POST', url: '/auth/v1/account/create?keys=true', json } as const;
  return opened(email, await http.json(ask, SignedIn), stretched);
}

/**
 * Signs in. An account that was made elsewhere can have another spelling: then the server tells it, and the
 * password is stretched once more.
 */
export async function signIn(typed: Typed): Promise<Opened> {
  const login = async (email: string) => {
    const stretched = await stretch({ email, password: typed.password });
    const json: Login = {
      ...{ email, authPW: stretched.authPW },
      ...(email !== typed.email.trim() && { originalLoginEmail: typed.email.trim() }),
    };
    const ask = { method: 'POST', url: '/auth/v1/account/login?keys=true', json } as const;
    return opened(email, await http.json(ask, SignedIn), stretched);
  };
  const email = spelled(typed.email);
  try {
    return await login(email);
  } catch (error) {
    const spelling = isErrno(error, 120) ? error.extra['email'] : undefined;
    // Another address altogether would be the server's try to learn how the password stretches with it.
    if (typeof spelling !== 'string' || spelled(spelling) !== email) throw error;
    return login(spelling);
  }
}

/** Asks whether the address is confirmed by now. */
export async function isConfirmed(session: Session): Promise<boolean> {
  const ask = { url: '/auth/v1/recovery_email/status', ...bySession(session) };
  return (await http.json(ask, EmailStatus)).verified;
}

/** Gives the code of a mail. */
export function confirmAddress(uid: string, code: string): Promise<unknown> {
  const url = '/auth/v1/recovery_email/verify_code';
  return http.run({ method: 'POST', url, json: { uid, code } });
}

/** Has another mail sent. */
export function mailAgain(session: Session): Promise<unknown> {
  const url = '/auth/v1/recovery_email/resend_code';
  return http.run({ method: 'POST', url, json: {}, ...bySession(session) });
}

/** Derives the keys that an app may have for these scopes, by scope. */
export async function scopedKeys(
  account: Opened,
  clientId: string,
  scope: string,
): Promise<Record<string, ScopedKey>> {
  const data = await http.json(
    {
      ...{ method: 'POST', url: '/auth/v1/account/scoped-key-data' },
      json: { client_id: clientId, scope },
      ...bySession(account),
    },
    ScopedKeyDataByScope,
  );
  if (Object.keys(data).length === 0) return {};
  const kB = await account.fetchKB();
  return deriveScopedKeys({ kB, uid: account.uid }, { clientId, asked: scope }, data);
}
