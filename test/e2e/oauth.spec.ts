import { audiences } from '#lib/protocol';
import { generateKeysJwk } from '#lib/crypto';
import { type Account, signUp, tokenFor } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

it('gives a token', async () => {
  const { publicJwk } = await generateKeysJwk();
  const keysJwk = Buffer.from(JSON.stringify(publicJwk)).toString('base64url');
  const answer = await tokenFor(server, alice, { scope: 'openid keys:read files app_key', resource: audiences.keys, keysJwk });
  console.log(answer);
  console.log(await server.db.query('select model, id, grant_id, session_id, keys_jwe, payload from oidc'));
});
