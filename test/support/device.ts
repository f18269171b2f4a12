import { DEVICE_GRANT, DeviceAuthorization, DeviceDetails } from '#lib/protocol';
import { type Account, askToken, sealAppKey } from './account.ts';
import type { TestServer } from './test-server.ts';

/** What a device asks at its endpoint. */
export const askDevice = (
  server: TestServer,
  form: Readonly<Record<string, string | string[] | undefined>>,
) =>
  server
    .request()
    .post('/oauth2/device_authorization')
    .type('form')
    .send({ client_id: 'demo-app', ...form });

/** A device that waits for an answer, with its codes. */
export async function beginDevice(
  server: TestServer,
  form: Readonly<Record<string, string | string[] | undefined>>,
) {
  return DeviceAuthorization.parse((await askDevice(server, form).expect(200)).body);
}

/** The device asks whether there was an answer. */
export const poll = (server: TestServer, deviceCode: string, more: Record<string, string> = {}) =>
  askToken(server, {
    grant_type: DEVICE_GRANT,
    client_id: 'demo-app',
    device_code: deviceCode,
    ...more,
  });

/** A call of the page where an account answers a device. @param headers - those undefined are left out */
export function devicePage(
  server: TestServer,
  call: 'details' | 'finish',
  body: object,
  headers: Readonly<Record<string, string | undefined>> = {},
) {
  const sent = Object.entries(headers).filter((pair): pair is [string, string] => Boolean(pair[1]));
  return server.request().post(`/oauth2/device/${call}`).set(Object.fromEntries(sent)).send(body);
}

/** Answers a device as the page does, with the keys when it asked for them. */
export async function answerDevice(
  server: TestServer,
  { account, userCode, consent = true }: { account: Account; userCode: string; consent?: boolean },
) {
  const { authorization } = account;
  const asked = { user_code: userCode };
  const { body } = await devicePage(server, 'details', asked, { authorization }).expect(200);
  const details = DeviceDetails.parse(body);
  const { client, keys_jwk: jwk } = details;
  const keys = jwk !== undefined && {
    keys_jwe: await sealAppKey(server, account, client.client_id, jwk),
  };
  const answer = { user_code: details.user_code, uid: details.uid, consent, ...keys };
  return devicePage(server, 'finish', answer, { authorization });
}

/** For who hears what a program says that wants to be let in: answers it, once, as somebody in a browser. */
export function lettingIn(server: TestServer, account: Account, consent = true) {
  let answered: Promise<unknown> | undefined;
  return (said: string): void => {
    const [userCode] = /[A-Z]{4}-[A-Z]{4}/.exec(said) ?? [];
    if (userCode === undefined) return;
    answered ??= answerDevice(server, { account, userCode, consent }).then();
  };
}
