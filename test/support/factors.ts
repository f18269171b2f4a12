import { createHmac } from 'node:crypto';
import { SignedIn, TotpCreated } from '#lib/protocol';
import { type Account, bearerOf, signUp } from './account.ts';
import { post } from './account-api.ts';
import { stretch } from './passwords.ts';
import type { TestServer } from './test-server.ts';

/** RFC 6238 by hand: the code of a secret in base32, at a time in seconds since 1970. */
export function totpAt(secret: string, seconds: number): string {
  const bits = Array.from(secret)
    .map((letter) =>
      'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
    )
    .join('');
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(seconds / 30)));
  const mac = createHmac('sha1', key).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** What an authenticator shows after half a minute: every code is good once. */
export function nextCode(server: TestServer, secret: string): string {
  server.clock.advance(30);
  return totpAt(secret, server.clock.seconds());
}

/** Six digits that are none of the codes of now. */
export function wrongCode(server: TestServer, secret: string): string {
  const now = server.clock.seconds();
  const good = [-60, -30, 0, 30, 60].map((delta) => totpAt(secret, now + delta));
  return ['111111', '222222', '333333', '444444', '555555', '666666'].find(
    (code) => !good.includes(code),
  ) as string;
}

/** An account with an authenticator: its secret in base32, and its ten backup codes. */
export interface TwoStep extends Account {
  secret: string;
  backupCodes: string[];
}

/** Turns an authenticator on, in a session whose password was just given. */
export async function addTotp(
  server: TestServer,
  authorization: string,
): Promise<{ secret: string; backupCodes: string[] }> {
  const created = await post(server, 'totp/create', {}, authorization).expect(200);
  const { secret } = TotpCreated.parse(created.body);
  const code = nextCode(server, secret);
  const { body } = await post(server, 'session/verify/totp', { code }, authorization).expect(200);
  return { secret, backupCodes: body.recoveryCodes as string[] };
}

/** Signs up, and turns an authenticator on. */
export async function signUpTwoStep(server: TestServer): Promise<TwoStep> {
  const account = await signUp(server);
  return { ...account, ...(await addTotp(server, account.authorization)) };
}

/** Gives the password: a session, which awaits the second factor where there is one. */
export async function halfSignIn(server: TestServer, { email, password }: Account, keys = '') {
  const { authPW } = await stretch(email, password);
  const { body } = await post(server, `account/login${keys}`, { email, authPW }).expect(200);
  const signedIn = SignedIn.parse(body);
  return { ...signedIn, authorization: bearerOf(signedIn.sessionToken) };
}
