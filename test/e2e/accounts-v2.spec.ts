import { randomBytes } from 'node:crypto';
import { deriveToken, fromHex, makeClientSalt, openKeysBundle, toHex, xor } from '#lib/crypto';
import { KeysBundle } from '#lib/protocol';
import { bearerOf, mailedCode, signUp } from '../support/account.ts';
import { anAddress, credentials, get, post } from '../support/account-api.ts';
import { countingStatements } from '../support/statements.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const hex32 = () => randomBytes(32).toString('hex');

/** What v2 adds to a sign-up; what either password stretches to needs no stretching here. */
function v2Of(kB: Uint8Array) {
  const [v1, v2] = [randomBytes(32), randomBytes(32)];
  return {
    unwrap: { v1, v2 },
    body: {
      authPWVersion2: hex32(),
      wrapKb: toHex(xor(kB, v1)),
      wrapKbVersion2: toHex(xor(kB, v2)),
      clientSalt: makeClientSalt(),
    },
  };
}

const create = (body: object) => post(server, 'account/create?keys=true', body);
const login = (body: object) => post(server, 'account/login?keys=true', body);

async function wrapKbOf(keyFetchToken: string): Promise<Uint8Array> {
  const { id, bundleKey } = deriveToken(fromHex(keyFetchToken), 'keyFetchToken');
  const { body } = await get(server, 'account/keys', `Bearer fxk_${toHex(id)}`).expect(200);
  return openKeysBundle(bundleKey, fromHex(KeysBundle.parse(body).bundle)).wrapKb;
}

async function verify(uid: string) {
  const code = await mailedCode(server, uid);
  await post(server, 'recovery_email/verify_code', { uid, code }).expect(200);
}

describe('an account that signed up by v2', () => {
  it('opens the same kB by either stretching', async () => {
    const kB = randomBytes(32);
    const { unwrap, body: v2 } = v2Of(kB);
    const v1 = credentials(anAddress());
    const created = (await create({ ...v1, ...v2 }).expect(200)).body;
    await verify(created.uid);
    const byV1 = (await login(v1).expect(200)).body;
    const byV2 = (await login({ ...v1, authPW: v2.authPWVersion2 }).expect(200)).body;
    expect([byV1.keyFetchTokenVersion2, byV2.keyFetchToken]).toEqual([undefined, undefined]);

    for (const token of [created.keyFetchToken, byV1.keyFetchToken]) {
      expect(toHex(xor(await wrapKbOf(token), unwrap.v1))).toBe(toHex(kB));
    }
    for (const token of [created.keyFetchTokenVersion2, byV2.keyFetchTokenVersion2]) {
      expect(toHex(xor(await wrapKbOf(token), unwrap.v2))).toBe(toHex(kB));
    }
  });

  it('is told its salt, in any spelling of the address', async () => {
    const { body } = v2Of(randomBytes(32));
    const { email, authPW } = credentials(anAddress());
    await create({ email, authPW, ...body }).expect(200);
    for (const spelling of [email, email.toUpperCase()]) {
      const status = await post(server, 'account/credentials/status', { email: spelling });
      expect(status.body).toEqual({
        ...{ currentVersion: 'v2', clientSalt: body.clientSalt, upgradeNeeded: false },
      });
    }
  });

  it.each(['authPWVersion2', 'wrapKb', 'wrapKbVersion2', 'clientSalt'])(
    'is refused without %s',
    async (missing) => {
      const { body } = v2Of(randomBytes(32));
      const asked = { ...credentials(anAddress()), ...body, [missing]: undefined };
      expect((await create(asked).expect(400)).body).toMatchObject({ errno: 107 });
      expect((await login(asked).expect(400)).body.errno).toBe(103);
    },
  );

  it.each([
    ['authPWVersion2', 'AB'.repeat(32)],
    ['wrapKb', '00'],
    ['wrapKbVersion2', 7],
    ['clientSalt', '0'.repeat(32)],
    ['clientSalt', `identity.mozilla.com/picl/v1/quickStretchV2:${'0'.repeat(31)}`],
    ['clientSalt', `identity.mozilla.com/picl/v1/quickStretch:${'0'.repeat(32)}`],
  ])('is refused with the %s %j', async (name, value) => {
    const { body } = v2Of(randomBytes(32));
    const asked = { ...credentials(anAddress()), ...body, [name]: value };
    expect((await create(asked).expect(400)).body).toMatchObject({ errno: 107 });
  });
});

describe('credentials/status', () => {
  const status = async (email: string) =>
    (await post(server, 'account/credentials/status', { email }).expect(200)).body as {
      currentVersion: string;
      clientSalt?: string;
    };

  it('says v1 of an account that has no other', async () => {
    const { email } = await signUp(server);
    expect(await status(email)).toEqual({ currentVersion: 'v1', upgradeNeeded: true });
  });

  it('answers for addresses that nobody has as for others, the same each time', async () => {
    const emails = Array.from({ length: 40 }, anAddress);
    const answers = await Promise.all(emails.map(status));
    expect(await Promise.all(emails.map((email) => status(email.toUpperCase())))).toEqual(answers);
    const v2 = answers.filter(({ currentVersion }) => currentVersion === 'v2');
    // Of 40 fair coins, 3 or fewer on one side is one in 10⁸.
    expect(v2.length).toBeGreaterThan(3);
    expect(v2.length).toBeLessThan(37);
    expect(new Set(v2.map(({ clientSalt }) => clientSalt)).size).toBe(v2.length);
    for (const { currentVersion, ...rest } of answers) {
      expect(rest).toEqual(
        currentVersion === 'v1'
          ? { upgradeNeeded: true }
          : {
              upgradeNeeded: false,
              clientSalt: expect.stringMatching(
                /^identity\.mozilla\.com\/picl\/v1\/quickStretchV2:[0-9a-f]{32}$/,
              ),
            },
      );
    }
  });

  it('runs the same statements for an address that is known as for one that is not', async () => {
    const { email } = await signUp(server);
    await status(email);
    const hit = await countingStatements(server, () => status(email));
    const miss = await countingStatements(server, () => status(anAddress()));
    expect(miss).toEqual(hit);
    expect(hit.length).toBeGreaterThan(0);
  });
});

it('signs in with the same statements, whether the address is known or not', async () => {
  const { email } = await signUp(server);
  await login(credentials(email)).expect(400);
  const hit = await countingStatements(server, () => login(credentials(email)).expect(400));
  const miss = await countingStatements(server, () => login(credentials(anAddress())).expect(400));
  expect(miss).toEqual(hit);
  expect(hit.length).toBeGreaterThan(0);
});

it('keeps v2 out of what others can do', async () => {
  const { body } = v2Of(randomBytes(32));
  const { sessionToken } = (await create({ ...credentials(anAddress()), ...body })).body;
  const { body: settings } = await get(server, 'account', bearerOf(sessionToken)).expect(200);
  expect(settings.credentialsVersion).toBe('v2');
  expect(JSON.stringify(settings)).not.toContain(body.clientSalt);
});
