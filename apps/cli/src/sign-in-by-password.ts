import { Account, type Server } from '#lib/client';
import { type PasswordSource, prompt, readPassword } from './password.ts';
import { Refused } from './refused.ts';

/** Where the password comes from, and the code of a second factor, if it is at hand. */
export interface SignInSource extends PasswordSource {
  code?: string | undefined;
}

/** What `--code` says in the help of commands. */
export const CODE_HELP = 'six digits of the authenticator, or a backup code';

const BY_BROWSER = 'let a browser sign this computer in: lockstep sign-in';

/**
 * Signs in by the password, and by a code where the account has a second factor.
 *
 * @param ask - for the password, on a terminal
 * @throws Refused when a code is needed and there is neither one nor a terminal to ask on, or when only a
 *   browser has what is needed
 * @throws ClientError `errno-183` for wrong or used digits, `errno-156` for a wrong backup code
 */
export async function signInByPassword(
  server: Server,
  email: string,
  source: SignInSource,
  ask: string,
): Promise<Account> {
  if (source.code !== undefined && !isCode(source.code)) {
    throw new Refused('A code is six digits, or ten letters and digits of a backup code.', 2);
  }
  const password = await readPassword(source, ask);
  const account = await Account.signIn(server, { email, password });
  if (!account.awaitsFactor) return account;
  try {
    await account.secondFactor(source.code ?? (await askFor(account)));
  } catch (error) {
    await account.signOut();
    throw error;
  }
  return account;
}

async function askFor(account: Account): Promise<string> {
  const { totp } = await account.factors();
  if (!totp) {
    throw new Refused(
      `The second factor of this account is a passkey: ${BY_BROWSER}, without an address. Or give a backup code: --code`,
    );
  }
  const code = await prompt(
    'Code of the authenticator, or a backup code: ',
    `The account has a second factor: give --code, or ${BY_BROWSER}, without an address.`,
  );
  if (isCode(code)) return code;
  throw new Refused('A code is six digits, or ten letters and digits of a backup code.');
}

const isCode = (text: string) => /^(?:\d{6}|[A-Za-z\d]{10})$/.test(text.replaceAll(/[\s-]/g, ''));
