import { mailedCode } from '../../apps/demo/src/mailbox.ts';
import { DEMO_APP, Device, Person } from '../../apps/demo/src/person.ts';
import { Account, App, authorize, type IntegrityCode, Server } from '#lib/client';
import { sha256, toBase64Url, utf8 } from '#lib/crypto';
import type { TestServer } from '../support/test-server.ts';
import { Liar } from './liar.ts';

/** Somebody with the app on one device, who hears of the server only what the liar lets through. */
export interface Victim {
  person: Person;
  device: Device;
  liar: Liar;
  /** What this person's clock is ahead, in milliseconds. */
  ahead: { ms: number };
}

/** Signs up, verifies, connects the app and, unless told otherwise, publishes keys. */
export async function join(
  server: TestServer,
  name: string,
  { publishes = true } = {},
): Promise<Victim> {
  const liar = new Liar();
  const ahead = { ms: 0 };
  const now = () => Date.now() + ahead.ms;
  const person = new Person(name, server.url, { now, fetch: liar.fetch });
  await person.signUp((uid) => mailedCode(server.config.dataDir, uid));
  const device = await person.connect();
  if (publishes) await device.keys.publish();
  return { person, device, liar, ahead };
}

/** The same app for the same person, on a device where this password is typed. */
export async function signInAgain(
  { person, liar, ahead }: Victim,
  server: TestServer,
  password = person.password,
): Promise<Device> {
  const now = () => Date.now() + ahead.ms;
  const there = await Server.at(server.url, { now, fetch: liar.fetch });
  const account = await Account.signIn(there, { email: person.email, password });
  const started = await App.start(there, DEMO_APP);
  const { redirect } = await authorize(account, started.url);
  return new Device(await started.finish(redirect));
}

/** base64url SHA-256 of a text. */
export const hashOf = (text: string) => toBase64Url(sha256(utf8(text)));

/** What an IntegrityError of this code looks like to `toMatchObject`. */
export const refusal = (code: IntegrityCode) => ({ name: 'IntegrityError', code });
