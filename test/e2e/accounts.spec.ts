import { signUp } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

it('signs up', async () => {
  const account = await signUp(server);
  expect(account.kB).toHaveLength(32);
});
