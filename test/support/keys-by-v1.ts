import {
  deriveAuthPW,
  deriveToken,
  deriveUnwrapBKey,
  fromHex,
  openKeysBundle,
  quickStretch,
  toHex,
  xor,
} from '#lib/crypto';
import { KeysBundle, SignedIn } from '#lib/protocol';
import { bearerOf } from './account.ts';
import { get, post } from './account-api.ts';
import type { TestServer } from './test-server.ts';

/** Signs in as Firefox's own code does, by the first stretching, and opens kB. */
export async function keysByV1(
  server: TestServer,
  email: string,
  password: string,
): Promise<{ authorization: string; kB: Uint8Array }> {
  const stretched = await quickStretch(email, password);
  const authPW = toHex(deriveAuthPW(stretched));
  const answer = await post(server, 'account/login?keys=true', { email, authPW }).expect(200);
  const { sessionToken, keyFetchToken = '' } = SignedIn.parse(answer.body);
  const { id, bundleKey } = deriveToken(fromHex(keyFetchToken), 'keyFetchToken');
  const { body } = await get(server, 'account/keys', `Bearer fxk_${toHex(id)}`).expect(200);
  const { wrapKb } = openKeysBundle(bundleKey, fromHex(KeysBundle.parse(body).bundle));
  return {
    authorization: bearerOf(sessionToken),
    kB: xor(wrapKb, deriveUnwrapBKey(stretched)),
  };
}
