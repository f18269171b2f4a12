import {
  deriveRecoveryKeyId,
  deriveToken,
  fromHex,
  openRecoveryData,
  parseRecoveryKey,
  randomBytes,
  sealRecoveryData,
  toHex,
} from '#lib/crypto';
import {
  type CreateRecoveryKey,
  type DestroyAccount,
  type FinishPasswordChange,
  ForgotCodeVerified,
  ForgotOtpVerified,
  PasswordChangeStarted,
  Reauthenticated,
  RecoveryData,
  type ResetAccount,
  SignedIn,
} from '#lib/protocol';
import { z } from 'zod';
import { fetchKB, makePassword, spelled, stretch } from './password.ts';
import { bearing, http, post } from './server.ts';
import { bySession, type Session } from './session.ts';
import { emailStatus, withSpelling } from './sign-in.ts';

/**
 * Sets another password. kB stays; every other session ends.
 *
 * @returns the session that takes this one's place
 * @throws ClientError `errno-103` when the old password is wrong
 */
export async function changePassword(
  session: Session,
  { old, next }: { old: string; next: string },
): Promise<Session> {
  const { email } = await emailStatus(session);
  const stretched = await stretch({ email, password: old });
  const start = { email, oldAuthPW: stretched.authPW };
  const started = await http.json(
    post('password/change/start', start, bySession(session)),
    PasswordChangeStarted,
  );
  const kB = await fetchKB(started, stretched);
  const { json } = await makePassword({ email, password: next }, kB);
  const finish: FinishPasswordChange = {
    ...json,
    // Firefox may ask something by it until it has the new one; then the server ends it.
    ...(session.firefox === true && {
      sessionToken: toHex(deriveToken(fromHex(session.sessionToken), 'sessionToken').id),
    }),
  };
  const by = bearing('passwordChangeToken', started.passwordChangeToken);
  const ask = post('password/change/finish?keys=true', finish, by);
  const { uid, sessionToken } = await http.json(ask, SignedIn);
  return { ...session, uid, sessionToken };
}

/** Has a code mailed to who forgot the password, if there is such an account. */
export function askResetCode(email: string): Promise<unknown> {
  return http.run(post('password/forgot/send_otp', { email: spelled(email) }));
}

/** Leave to set a password without the old one; it may need a second factor besides. */
export interface Leave {
  uid: string;
  /** In the spelling of sign-up. */
  email: string;
  accountResetToken: string;
}

/** Leave that the second factor, if there is one, was given with. */
export interface Reset extends Leave {
  /** Whether a recovery key can save the data. */
  hasRecoveryKey: boolean;
}

const Exists = z.object({ exists: z.boolean() });

/** Gives the mailed code. @throws ClientError `errno-105` when it is wrong or too old */
export async function giveResetCode(email: string, code: string): Promise<Leave> {
  const otp = { email: spelled(email), code };
  const { token, uid, emailToHashWith, ...verified } = await http.json(
    post('password/forgot/verify_otp', otp),
    ForgotOtpVerified,
  );
  const exchange = post(
    'password/forgot/verify_code',
    { code: verified.code },
    bearing('passwordForgotToken', token),
  );
  const { accountResetToken } = await http.json(exchange, ForgotCodeVerified);
  return { uid, email: emailToHashWith, accountResetToken };
}

/** Looks what a reset can save. @throws ClientError `errno-160` when a second factor is missing */
export async function openReset(leave: Leave): Promise<Reset> {
  const by = bearing('accountResetToken', leave.accountResetToken);
  const { exists } = await http.json(post('recoveryKey/exists', {}, by), Exists);
  return { ...leave, hasRecoveryKey: exists };
}

/**
 * Opens kB by a recovery key that a person typed.
 *
 * @throws CryptoRefusal `recovery-key-invalid`, `recovery-data-forged`
 * @throws ClientError `errno-158` when the account has another key
 */
export async function recoverKB(
  reset: Reset,
  typed: string,
): Promise<{ kB: Uint8Array; recoveryKeyId: string }> {
  const of = { key: parseRecoveryKey(typed), uid: fromHex(reset.uid) };
  const recoveryKeyId = deriveRecoveryKeyId(of);
  const by = bearing('accountResetToken', reset.accountResetToken);
  const ask = { url: `/auth/v1/recoveryKey/${recoveryKeyId}`, ...by };
  const { recoveryData } = await http.json(ask, RecoveryData);
  return { kB: await openRecoveryData(of, recoveryData), recoveryKeyId };
}

/** Sets a password without the old one. Without what `recoverKB` gave, the account gets a new kB. */
export async function resetPassword(
  reset: Reset,
  password: string,
  recovered?: { kB: Uint8Array; recoveryKeyId: string },
): Promise<Session> {
  const { email } = reset;
  const { json } = await makePassword({ email, password }, recovered?.kB ?? randomBytes(32));
  const body: ResetAccount = {
    ...{ ...json, sessionToken: true },
    ...(recovered && { recoveryKeyId: recovered.recoveryKeyId }),
  };
  const ask = post('account/reset', body, bearing('accountResetToken', reset.accountResetToken));
  const { uid, sessionToken } = await http.json(ask, SignedIn);
  return { uid, email, sessionToken };
}

/** Whether the account has a recovery key. */
export async function hasRecoveryKey(session: Session): Promise<boolean> {
  const ask = post('recoveryKey/exists', {}, bySession(session));
  const { exists } = await http.json(ask, Exists);
  return exists;
}

/** Opens kB for one purpose, by the password. @throws ClientError `errno-103` when it is wrong */
export function openKB(session: Session, password: string): Promise<Uint8Array> {
  return withSpelling(session.email, async (email) => {
    const stretched = await stretch({ email, password });
    const json = { email, authPW: stretched.authPW };
    const ask = post('session/reauth?keys=true', json, bySession(session));
    return fetchKB(await http.json(ask, Reauthenticated), stretched);
  });
}

/** Stores kB under a recovery key, in the place of the one there was. */
export async function storeRecoveryKey(
  session: Session,
  { key, kB, replaceKey }: { key: Uint8Array; kB: Uint8Array; replaceKey: boolean },
): Promise<void> {
  const of = { key, uid: fromHex(session.uid) };
  const json: CreateRecoveryKey = {
    recoveryKeyId: deriveRecoveryKeyId(of),
    recoveryData: await sealRecoveryData(of, kB),
    ...{ enabled: true, replaceKey },
  };
  await http.run(post('recoveryKey', json, bySession(session)));
}

/** Makes the recovery key worthless. */
export function removeRecoveryKey(session: Session): Promise<unknown> {
  return http.run({ method: 'DELETE', url: '/auth/v1/recoveryKey', ...bySession(session) });
}

/** Deletes the account and all that is stored for it. @throws ClientError `errno-103` */
export function deleteAccount(session: Session, password: string): Promise<unknown> {
  return withSpelling(session.email, async (email) => {
    const { authPW } = await stretch({ email, password });
    const json: DestroyAccount = { email, authPW };
    await http.run(post('account/destroy', json, bySession(session)));
  });
}
