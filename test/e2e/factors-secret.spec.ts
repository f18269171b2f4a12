import { Logger } from '@nestjs/common';
import { post } from '../support/account-api.ts';
import { halfSignIn, nextCode, signUpTwoStep } from '../support/factors.ts';
import { TestServer } from '../support/test-server.ts';

const OWN = 'a'.repeat(32);
const ANOTHER = 'b'.repeat(32);

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({
    ...{ FACTORS_SECRET: OWN, BUDGETS: 'all=1000000/60,factor.account=2/900' },
  });
});
afterAll(() => server.stop());

it('A lost FACTORS_SECRET refuses codes in words, and counts them as no guesses', async () => {
  const account = await signUpTwoStep(server);
  const { authorization } = await halfSignIn(server, account);
  const give = () => {
    const code = nextCode(server, account.secret);
    return post(server, 'session/verify/totp', { code }, authorization);
  };
  Object.assign(server.config, { factorsSecrets: [ANOTHER] });
  for (let i = 0; i < 4; i++) {
    expect((await give().expect(503)).body).toEqual({
      ...{ code: 503, errno: 201, error: 'Service Unavailable' },
      message: 'The server has lost the key to its authenticators’ secrets. Tell whoever runs it.',
    });
  }
  // Put back, with the new one behind it.
  Object.assign(server.config, { factorsSecrets: [OWN, ANOTHER] });
  await give().expect(200);
  Object.assign(server.config, { factorsSecrets: [OWN] });
});

it('The operator is told at the start, without the secret, and not when it is the right one', async () => {
  await signUpTwoStep(server);
  const lines: unknown[] = [];
  const keep = (line: unknown) => lines.push(line);
  const startWith = async (secret: string) => {
    Logger.overrideLogger({ log: keep, warn: keep, error: keep });
    const another = await server.another({ FACTORS_SECRET: secret });
    Logger.overrideLogger(false);
    await another.stop();
    expect(JSON.stringify(lines)).not.toContain(secret);
    return lines.splice(0).filter((line) => JSON.stringify(line).includes('factors-secret-lost'));
  };
  expect(await startWith(ANOTHER)).toEqual([
    {
      event: 'factors-secret-lost',
      reason: 'Secrets of authenticators are under a key that FACTORS_SECRET does not name',
    },
  ]);
  expect(await startWith(OWN)).toEqual([]);
});
