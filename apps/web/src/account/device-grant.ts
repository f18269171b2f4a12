import type { Ask } from '#lib/client';
import { DeviceDetails } from '#lib/protocol';
import { yesTo } from './interaction.ts';
import { http } from './server.ts';
import { bySession, type Session } from './session.ts';
import type { Opened } from './sign-in.ts';

function call(
  name: 'details' | 'finish',
  json: object,
  account: Pick<Session, 'sessionToken'> | undefined,
): Ask {
  const by = account ? bySession(account) : {};
  return { method: 'POST', url: `/oauth2/device/${name}`, json, ...by };
}

/** What the device that shows this code asks for. @throws ClientError `unknown_user_code` */
export function readDevice(
  userCode: string,
  account: Pick<Session, 'sessionToken'> | undefined,
): Promise<DeviceDetails> {
  return http.json(call('details', { user_code: userCode.trim() }, account), DeviceDetails);
}

/** Gives the device what it asks for, with the app's keys sealed to it. */
export async function allowDevice(asked: DeviceDetails, account: Opened): Promise<void> {
  const { user_code, uid } = asked;
  const yes = await yesTo(asked, account);
  await http.run(call('finish', { user_code, uid, ...yes }, account));
}

/** Tells the device that it gets nothing. */
export async function refuseDevice(asked: DeviceDetails, account?: Opened): Promise<void> {
  const { user_code, uid } = asked;
  await http.run(call('finish', { user_code, uid, consent: false }, account));
}
