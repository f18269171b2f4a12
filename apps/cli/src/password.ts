import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { Refused } from './refused.ts';

/** Where a password may come from, besides a person at a terminal. */
export interface PasswordSource {
  passwordFile?: string | undefined;
}

/**
 * The password: from --password-file, else from LOCKSTEP_PASSWORD, else asked for without echo.
 *
 * @throws Refused when there is neither one nor a terminal to ask on, or it is empty
 */
export async function readPassword(source: PasswordSource, ask: string): Promise<string> {
  const password = await readFrom(source, ask);
  // Anybody could derive the keys that it protects.
  if (password === '') throw new Refused('The password is empty.', 2);
  return password;
}

/**
 * A password that is made now. Nobody can get into an account whose password was mistyped, so a person is asked for
 * it twice.
 *
 * @throws Refused as `readPassword`, and when the two differ
 */
export async function readNewPassword(source: PasswordSource, email: string): Promise<string> {
  const password = await readPassword(source, `New password for ${email}: `);
  if (isAsked(source)) {
    const again = await readPassword(source, 'Once more: ');
    if (again !== password) throw new Refused('The two passwords differ.', 2);
  }
  return password;
}

function isAsked({ passwordFile }: PasswordSource): boolean {
  return passwordFile === undefined && (process.env['LOCKSTEP_PASSWORD'] ?? '') === '';
}

async function readFrom({ passwordFile }: PasswordSource, ask: string): Promise<string> {
  if (passwordFile !== undefined) {
    return (await readFile(passwordFile, 'utf8')).replace(/\r?\n$/, '');
  }
  if (!isAsked({ passwordFile })) return process.env['LOCKSTEP_PASSWORD'] ?? '';
  return prompt(ask, 'No password: set LOCKSTEP_PASSWORD, or give --password-file.');
}

/** A secret to share: from a file, `-` for standard input, else asked for without echo. */
export async function readSecret(path: string | undefined, ask: string): Promise<string> {
  const secret =
    path === undefined
      ? await prompt(ask, 'No secret: give --secret-file.')
      : (await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')).replace(/\r?\n$/, '');
  if (secret === '') throw new Refused('The secret is empty.', 2);
  return secret;
}

/**
 * Asks on the terminal, without echo.
 *
 * @throws Refused with the reason given, when there is none
 */
export async function prompt(ask: string, otherwise: string): Promise<string> {
  if (!process.stdin.isTTY) throw new Refused(otherwise, 2);
  process.stderr.write(ask);
  const silent = new Writable({
    write: (_chunk, _encoding, done) => {
      done();
    },
  });
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await terminal.question('');
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
