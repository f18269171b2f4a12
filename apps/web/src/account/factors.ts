import { startAuthentication, startRegistration } from '@simplewebauthn/browser';
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/browser';
import { z } from 'zod';
import { type Ask, ClientError } from '#lib/client';
import {
  BackupCodes,
  Factors,
  Passkey,
  PasskeyRegistered,
  Reauthenticated,
  TotpCreated,
  TotpGiven,
} from '#lib/protocol';
import { stretch } from './password.ts';
import { bearing, http, post } from './server.ts';
import { bySession, type Session } from './session.ts';
import { withSpelling } from './sign-in.ts';

/** Where a second factor is given: in a session, or with leave to reset a password. */
export interface Gate {
  by: Pick<Ask, 'headers'>;
  /** What the account has. */
  list: string;
  totp: string;
  backupCode: string;
  passkey: string;
}

/** The second step of a sign-in, or the second factor once more. */
export const gateOfSession = (session: Pick<Session, 'sessionToken'>): Gate => ({
  ...{ by: bySession(session), list: 'factors', totp: 'session/verify/totp' },
  ...{ backupCode: 'session/verify/recoveryCode', passkey: 'session/verify/passkey' },
});

/** The second factor of who resets a password. @param token - an accountResetToken */
export const gateOfReset = (token: string): Gate => ({
  ...{ by: bearing('accountResetToken', token), list: 'totp/verify', totp: 'totp/verify' },
  ...{ backupCode: 'totp/verify/recoveryCode', passkey: 'totp/verify/passkey' },
});

/** Asks what the account has. */
export const factorsAt = (gate: Gate): Promise<Factors> =>
  http.json({ url: `/auth/v1/${gate.list}`, ...gate.by }, Factors);

/** Gives six digits of the authenticator. @throws ClientError `errno-183` */
export const giveTotp = (gate: Gate, code: string): Promise<unknown> =>
  http.run(post(gate.totp, { code: code.replaceAll(/\s/g, '') }, gate.by));

/** Gives a backup code, which is used up. @throws ClientError `errno-156` */
export const giveBackupCode = (gate: Gate, code: string): Promise<unknown> =>
  http.run(post(gate.backupCode, { code: code.trim() }, gate.by));

// What they hold is the browser's business; WebAuthn's own parser looks at it.
const RequestOptions = z.custom<PublicKeyCredentialRequestOptionsJSON>((it) => Boolean(it));
const CreationOptions = z.custom<PublicKeyCredentialCreationOptionsJSON>((it) => Boolean(it));

/** Has the browser ask for a passkey. @throws ClientError `errno-227`; an Error when the person gives none */
export async function givePasskey(gate: Gate): Promise<void> {
  const optionsJSON = await http.json(post(`${gate.passkey}/start`, {}, gate.by), RequestOptions);
  const response = await startAuthentication({ optionsJSON });
  await http.run(post(gate.passkey, { response }, gate.by));
}

/** Gives the password once more, in a session that goes on. @throws ClientError `errno-103` */
export function proveAgain(session: Session, password: string): Promise<unknown> {
  return withSpelling(session.email, async (email) => {
    const { authPW } = await stretch({ email, password });
    return http.json(
      post('session/reauth', { email, authPW }, bySession(session)),
      Reauthenticated,
    );
  });
}

/** Whether the server wants the password, or the second factor, once more. */
export function wantsProof(error: unknown): 'password' | 'factor' | undefined {
  if (!(error instanceof ClientError)) return undefined;
  // An API of this project's own says it in words.
  if (['errno-164', 'stale-auth'].includes(error.code)) return 'password';
  return ['errno-160', 'factor-required'].includes(error.code) ? 'factor' : undefined;
}

/** Begins to connect an authenticator. */
export const createTotp = (session: Session): Promise<TotpCreated> =>
  http.json(post('totp/create', {}, bySession(session)), TotpCreated);

/** Shows that the authenticator works. @returns backup codes, with the account's first factor */
export async function enableTotp(session: Session, code: string): Promise<string[] | undefined> {
  const json = { code: code.replaceAll(/\s/g, '') };
  const ask = post('session/verify/totp', json, bySession(session));
  return (await http.json(ask, TotpGiven)).recoveryCodes;
}

/** Disconnects the authenticator. */
export const removeTotp = (session: Session): Promise<unknown> =>
  http.run(post('totp/destroy', {}, bySession(session)));

/** Makes new backup codes; those there were are good no more. */
export const renewBackupCodes = async (session: Session): Promise<string[]> =>
  (await http.json(post('recoveryCodes', {}, bySession(session)), BackupCodes)).recoveryCodes;

/** The account's passkeys. */
export const passkeys = (session: Session): Promise<Passkey[]> =>
  http.json({ url: '/auth/v1/passkeys', ...bySession(session) }, z.array(Passkey));

/** Has the browser make a passkey. @returns backup codes, with the account's first factor */
export async function addPasskey(session: Session, name: string): Promise<string[] | undefined> {
  const by = bySession(session);
  const optionsJSON = await http.json(post('passkey/registration/start', {}, by), CreationOptions);
  const { response, ...made } = await startRegistration({ optionsJSON });
  const { clientDataJSON, attestationObject, transports = [] } = response;
  const kept = { ...made, response: { clientDataJSON, attestationObject, transports } };
  const json = { name, response: kept };
  const ask = post('passkey/registration/finish', json, by);
  return (await http.json(ask, PasskeyRegistered)).recoveryCodes;
}

/** Gives a passkey another name. */
export const renamePasskey = (session: Session, id: string, name: string): Promise<unknown> =>
  http.run(post('passkey/rename', { credentialId: id, name }, bySession(session)));

/** Removes a passkey. */
export const removePasskey = (session: Session, id: string): Promise<unknown> =>
  http.run({
    ...{ method: 'DELETE', url: `/auth/v1/passkey/${encodeURIComponent(id)}` },
    ...bySession(session),
  });

/** Whether the browser, and not the server, gave up on a passkey: the person closed its window, mostly. */
export const isOfBrowser = (error: unknown): boolean =>
  error instanceof Error && !(error instanceof ClientError) && error.name !== 'TypeError';
