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

async function readFrom({ passwordFile }: PasswordSource, ask: string): Promise<string> {
  if (passwordFile !== undefined) {
    return (await readFile(passwordFile, 'utf8')).replace(/\r?\n$/, '');
  }
  const given = process.env['LOCKSTEP_PASSWORD'];
  if (given !== undefined && given !== '') return given;
  return prompt(ask, 'No password: set LOCKSTEP_PASSWORD, or give --password-file.');
}

/** A secret to share: from a file, `-` for standard input, else asked for without echo. */
export async function readSecret(path: string | undefined, ask: string): Promise<string> {
  if (path === undefined) return prompt(ask, 'No secret: give --secret-file.');
  return (await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')).replace(/\r?\n$/, '');
}

/** @throws Refused with the reason given, when there is no terminal to ask on */
async function prompt(ask: string, otherwise: string): Promise<string> {
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
