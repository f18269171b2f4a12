import { ClientError, deriveScopedKeys, type ScopedKey } from '#lib/client';
import { randomBytes } from '#lib/crypto';
import {
  type CreateAccount,
  EmailStatus,
  type Login,
  ScopedKeyDataByScope,
  SignedIn,
} from '#lib/protocol';
import {
  fetchKB,
  type KeyAccess,
  keyAccess,
  makePassword,
  spelled,
  stretch,
  type Stretched,
  type Typed,
} from './password.ts';
import { http, isErrno, post } from './server.ts';
import { bySession, type Session } from './session.ts';

/** An account whose password was typed on this page. It lasts as long as the page does. */
export interface Opened extends Session {
  /** Whether the address is confirmed, and no second factor is missing; until then there are no keys. */
  verified: boolean;
  /** Whether a second factor is missing. */
  awaitsFactor: boolean;
  /** Asks for the account's keys, once, and unwraps kB: 32 bytes. */
  fetchKB(): Promise<Uint8Array>;
  /** In the place of {@link fetchKB}, for who fetches the keys without this page. */
  keyAccess(): KeyAccess;
}

/** An account of which a password was given just now. */
function opened(email: string, answer: SignedIn, stretched: Stretched): Opened {
  const { uid, sessionToken, verified, sessionVerified, emailVerified } = answer;
  const awaitsFactor = emailVerified === true && sessionVerified === false;
  let fetched: Promise<Uint8Array> | undefined;
  return {
    ...{ uid, email, sessionToken, verified, awaitsFactor },
    fetchKB: () => (fetched ??= fetchKB(answer, stretched)),
    keyAccess: () => keyAccess(answer, stretched),
  };
}

/**
 * Makes an account with a kB of this page's making; a code is mailed to the address, unless an invitation
 * vouches for it.
 */
export async function signUp(typed: Typed, invitation: string): Promise<Opened> {
  const email = spelled(typed.email);
  const made = await makePassword({ email, password: typed.password }, randomBytes(32));
  const json: CreateAccount = {
    ...{ email, ...made.json },
    ...(invitation !== '' && { invitation: invitation.trim() }),
  };
  const ask = post('account/create?keys=true', json);
  return opened(email, await http.json(ask, SignedIn), made.stretched);
}

/**
 * Signs in. An account that was made elsewhere can have another spelling: then the server tells it, and the
 * password is stretched once more.
 *
 * @param unblockCode - from a mail, when sign-in is locked; otherwise empty
 */
export async function signIn(typed: Typed, unblockCode: string): Promise<Opened> {
  const login = async (email: string) => {
    const stretched = await stretch({ email, password: typed.password });
    const json: Login = {
      ...{ email, authPW: stretched.authPW },
      ...(email !== typed.email.trim() && {
        originalLoginEmail: typed.email.trim().normalize('NFKC'),
      }),
      ...(unblockCode !== '' && { unblockCode: unblockCode.trim() }),
    };
    const ask = post('account/login?keys=true', json);
    return opened(email, await http.json(ask, SignedIn), stretched);
  };
  return withSpelling(spelled(typed.email), login);
}

/** Whether sign-in is locked for a while, save for who gives a mailed code. */
export const isUnblockable = (error: unknown): boolean =>
  error instanceof ClientError && error.extra['verificationMethod'] === 'email-captcha';

/** Has a code mailed that opens a locked sign-in, if there is such an account. */
export function mailUnblockCode(email: string): Promise<unknown> {
  return http.run(post('account/login/send_unblock_code', { email: spelled(email) }));
}

/** Tries with one spelling of an address and, when the server knows it by another, once with that. */
export async function withSpelling<T>(
  email: string,
  attempt: (email: string) => Promise<T>,
): Promise<T> {
  try {
    return await attempt(email);
  } catch (error) {
    const spelling = isErrno(error, 120) ? error.extra['email'] : undefined;
    // Another address altogether would be the server's try to learn how the password stretches with it.
    if (typeof spelling !== 'string' || spelled(spelling) !== spelled(email)) throw error;
    return attempt(spelling);
  }
}

/** Asks whether the address is confirmed by now, and how it was spelled at sign-up. */
export function emailStatus(session: Session): Promise<EmailStatus> {
  return http.json({ url: '/auth/v1/recovery_email/status', ...bySession(session) }, EmailStatus);
}

/** Gives the code of a mail. */
export function confirmAddress(uid: string, code: string): Promise<unknown> {
  return http.run(post('recovery_email/verify_code', { uid, code }));
}

/** Has another mail sent. */
export function mailAgain(session: Session): Promise<unknown> {
  return http.run(post('recovery_email/resend_code', {}, bySession(session)));
}

/** Derives the keys that an app may have for these scopes, by scope. */
export async function scopedKeys(
  account: Session & Pick<Opened, 'fetchKB'>,
  clientId: string,
  scope: string,
): Promise<Record<string, ScopedKey>> {
  const json = { client_id: clientId, scope };
  const ask = post('account/scoped-key-data', json, bySession(account));
  const data = await http.json(ask, ScopedKeyDataByScope);
  if (Object.keys(data).length === 0) return {};
  const kB = await account.fetchKB();
  return deriveScopedKeys({ kB, uid: account.uid }, { clientId, asked: scope }, data);
}
