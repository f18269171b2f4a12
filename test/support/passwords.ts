import {
  deriveAuthPW,
  deriveToken,
  deriveUnwrapBKey,
  fromHex,
  openKeysBundle,
  quickStretch,
  toHex,
  type TokenKind,
  xor,
} from '#lib/crypto';
import { KeysBundle, PasswordChangeStarted, SignedIn } from '#lib/protocol';
import { type Account, mails } from './account.ts';
import { get, post } from './account-api.ts';
import type { TestServer } from './test-server.ts';

/** What a password stretches to by v1: for the server, and for the device. */
export async function stretch(email: string, password: string) {
  const stretched = await quickStretch(email, password);
  return { authPW: toHex(deriveAuthPW(stretched)), unwrap: deriveUnwrapBKey(stretched) };
}

const prefixes = {
  sessionToken: 'fxs',
  keyFetchToken: 'fxk',
  accountResetToken: 'fxar',
  passwordForgotToken: 'fxpf',
  passwordChangeToken: 'fxpc',
} satisfies Record<TokenKind, string>;

/** The Authorization header of a token of any kind, as a typed bearer. */
export const typedBearer = (kind: TokenKind, token: string) =>
  `Bearer ${prefixes[kind]}_${tokenIdOf(kind, token)}`;

/** A token's id, 64 hex digits. */
export const tokenIdOf = (kind: TokenKind, token: string) =>
  toHex(deriveToken(fromHex(token), kind).id);

/** wrapKb, out of the bundle that a keyFetchToken fetches. */
export async function fetchWrapKb(server: TestServer, keyFetchToken = ''): Promise<Uint8Array> {
  const { bundleKey } = deriveToken(fromHex(keyFetchToken), 'keyFetchToken');
  const authorization = typedBearer('keyFetchToken', keyFetchToken);
  const { body } = await get(server, 'account/keys', authorization).expect(200);
  return openKeysBundle(bundleKey, fromHex(KeysBundle.parse(body).bundle)).wrapKb;
}

/** Signs in by v1, and opens kB. */
export async function signInForKeys(server: TestServer, email: string, password: string) {
  const { authPW, unwrap } = await stretch(email, password);
  const { body } = await post(server, 'account/login?keys=true', { email, authPW }).expect(200);
  const signedIn = SignedIn.parse(body);
  return { ...signedIn, kB: xor(await fetchWrapKb(server, signedIn.keyFetchToken), unwrap) };
}

/** Begins a change of the password; the answer, and kB as it came with it. */
export async function startChange(server: TestServer, account: Account) {
  const { email } = account;
  const { authPW, unwrap } = await stretch(email, account.password);
  const asked = { email, oldAuthPW: authPW };
  const { body } = await post(server, 'password/change/start', asked, account.authorization).expect(
    200,
  );
  const started = PasswordChangeStarted.parse(body);
  return { ...started, kB: xor(await fetchWrapKb(server, started.keyFetchToken), unwrap) };
}

/** Changes an account's password by v1; the answer to `password/change/finish`. */
export async function changePassword(
  server: TestServer,
  account: Account,
  password: string,
  more: object = {},
): Promise<SignedIn> {
  const { passwordChangeToken, kB } = await startChange(server, account);
  const { authPW, unwrap } = await stretch(account.email, password);
  const { body } = await post(
    server,
    'password/change/finish?keys=true',
    { authPW, wrapKb: toHex(xor(kB, unwrap)), ...more },
    typedBearer('passwordChangeToken', passwordChangeToken),
  ).expect(200);
  return SignedIn.parse(body);
}

/** The newest code that was mailed to an account for a forgotten password. */
export async function mailedResetCode(server: TestServer, uid: string): Promise<string> {
  const codes = (await mails(server))
    .filter((mail) => mail.includes(`X-Uid: ${uid}`))
    .map((mail) => /^X-Password-Forgot-Otp: (\w+)$/m.exec(mail)?.[1])
    .filter((code) => code !== undefined);
  const code = codes.at(-1);
  if (code === undefined) throw new Error(`No code was mailed to ${uid}`);
  return code;
}

/** Leave to reset: an accountResetToken, by the mailed digits. */
export async function forget(
  server: TestServer,
  { uid, email }: Pick<Account, 'uid' | 'email'>,
): Promise<string> {
  await post(server, 'password/forgot/send_otp', { email }).expect(200, {});
  const code = await mailedResetCode(server, uid);
  const { body } = await post(server, 'password/forgot/verify_otp', { email, code }).expect(200);
  const verified = await post(
    server,
    'password/forgot/verify_code',
    { code: body.code },
    typedBearer('passwordForgotToken', body.token),
  ).expect(200);
  return verified.body.accountResetToken as string;
}
