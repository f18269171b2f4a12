import { randomBytes } from 'node:crypto';
import { Config } from '../../apps/server/src/platform/config.ts';
import { MailerService } from '../../apps/server/src/mail/mailer.service.ts';
import { anAddress, credentials, post } from '../support/account-api.ts';
import { bearerOf, mailedCode, mails, signUp } from '../support/account.ts';
import { stretch, typedBearer } from '../support/passwords.ts';
import { countingStatements } from '../support/statements.ts';
import { TestServer } from '../support/test-server.ts';

/** The tests are a proxy: they say who the client is. */
const TRUSTED_PROXIES = '127.0.0.1,::1';
const stranger = '198.51.100.7';
const owner = '203.0.113.9';

let server: TestServer;
afterEach(() => server.stop());

const start = async (budgets: string, environment: Record<string, string> = {}) => {
  server = await TestServer.start({ TRUSTED_PROXIES, BUDGETS: budgets, ...environment });
};

/** An account whose password is 32 bytes that nobody stretched. */
const anAccount = async () => {
  const known = credentials(anAddress());
  const { uid } = (await from(owner, 'account/create', known).expect(200)).body as { uid: string };
  return { ...known, uid };
};

const from = (client: string, path: string, body: object) =>
  post(server, path, body).set('x-forwarded-for', client);

const wrong = ({ email }: { email: string }) => ({
  email,
  authPW: randomBytes(32).toString('hex'),
});

const login = (client: string, body: object) => from(client, 'account/login', body);

/** The newest unblock code that was mailed to an account. */
const unblockCode = async (uid: string) =>
  (await mails(server))
    .filter((mail) => mail.includes(`X-Uid: ${uid}`))
    .map((mail) => /^X-Unblock-Code: (\w{8})$/m.exec(mail)?.[1])
    .at(-1);

describe('a client', () => {
  it('that signs up too often is told when to come again, and may then', async () => {
    await start('sign-up.client=2/600');
    for (let i = 0; i < 2; i++) {
      await from(stranger, 'account/create', credentials(anAddress())).expect(200);
    }
    const { body, headers } = await from(
      stranger,
      'account/create',
      credentials(anAddress()),
    ).expect(429);
    expect(body).toMatchObject({ code: 429, errno: 114, error: 'Too Many Requests' });
    expect(body.retryAfter).toBeGreaterThan(590);
    expect(body.retryAfter).toBeLessThanOrEqual(600);
    expect(body.retryAfterLocalized).toBe('in 10 minutes');
    expect(headers['retry-after']).toBe(String(body.retryAfter));
    await from(owner, 'account/create', credentials(anAddress())).expect(200);
    server.clock.advance(600);
    await from(stranger, 'account/create', credentials(anAddress())).expect(200);
  });

  it.each(['account/status', 'account/credentials/status'])(
    'cannot ask %s about many addresses',
    async (path) => {
      await start('status.client=3/900');
      for (let i = 0; i < 3; i++) await from(stranger, path, { email: anAddress() }).expect(200);
      const { body } = await from(stranger, path, { email: anAddress() }).expect(429);
      expect(body.errno).toBe(114);
      await from(owner, path, { email: anAddress() }).expect(200);
    },
  );

  it('cannot pretend to be another by a header that no proxy of ours wrote', async () => {
    await start('status.client=1/900', { TRUSTED_PROXIES: '10.0.0.0/8' });
    await from(stranger, 'account/status', { email: anAddress() }).expect(200);
    await from(owner, 'account/status', { email: anAddress() }).expect(429);
  });

  it('is the last address before our proxies, whatever stands further left', async () => {
    await start('status.client=1/900', { TRUSTED_PROXIES: '127.0.0.1,::1,10.0.0.0/8' });
    const ask = (forwarded: string) => from(forwarded, 'account/status', { email: anAddress() });
    await ask(`${owner}, ${stranger}, 10.1.2.3`).expect(200);
    await ask(`192.0.2.1, ${stranger}, 10.9.9.9`).expect(429);
    await ask(`${stranger}, ${owner}`).expect(200);
  });

  it('is a whole /64 of IPv6', async () => {
    await start('status.client=1/900');
    const ask = (client: string) => from(client, 'account/status', { email: anAddress() });
    await ask('2001:db8:0:1::1').expect(200);
    await ask('2001:db8::1:ffff:ffff:ffff:ffff').expect(429);
    await ask('2001:db8:0:2::1').expect(200);
    await ask('::ffff:198.51.100.7').expect(200);
    await ask(stranger).expect(429);
  });
});

describe('wrong passwords', () => {
  it('lock the one who tries them for longer each time, and nobody else', async () => {
    await start('login.pair=3/300');
    const account = await anAccount();
    const waits: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 3; i++) {
        const { body } = await login(stranger, wrong(account)).expect(400);
        expect(body.errno).toBe(103);
      }
      const { body } = await login(stranger, account).expect(429);
      expect(body).toMatchObject({
        ...{ errno: 114, verificationMethod: 'email-captcha', verificationReason: 'login' },
      });
      waits.push(body.retryAfter);
      await login(owner, account).expect(200);
      server.clock.advance(body.retryAfter);
    }
    expect(waits.map((seconds) => Math.round(seconds / 10) * 10)).toEqual([300, 600, 1200]);
    await login(stranger, account).expect(200);
    await login(stranger, wrong(account)).expect(400);
  });

  it('are forgotten when the right one is given, and right ones never count', async () => {
    await start('login.client=3/300,login.pair=2/300,login.account=3/300');
    const account = await anAccount();
    for (let i = 0; i < 5; i++) await login(owner, account).expect(200);
    await login(owner, wrong(account)).expect(400);
    await login(owner, account).expect(200);
    await login(owner, wrong(account)).expect(400);
    await login(owner, account).expect(200);
  });

  it('that come at once are not more than those that come one after another', async () => {
    await start('login.pair=4/300');
    const account = await anAccount();
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => (await login(stranger, wrong(account))).status),
    );
    expect(answers.filter((status) => status === 400)).toHaveLength(4);
    expect(answers.filter((status) => status === 429)).toHaveLength(16);
  });

  it('are answered for an address that nobody has as for one that somebody has', async () => {
    await start('login.pair=2/300,login.account=4/300,guess.pair=1/300');
    const known = await anAccount();
    const unknown = credentials(anAddress());
    const journey = async (who: { email: string }) => {
      const said: unknown[] = [];
      const note = async (client: string, path: string, body: object) => {
        const answer = await from(client, path, body);
        const { errno, verificationMethod } = answer.body;
        said.push([answer.status, errno, verificationMethod, Object.keys(answer.body).sort()]);
      };
      for (const client of [stranger, '192.0.2.1', '192.0.2.2']) {
        for (let i = 0; i < 3; i++) await note(client, 'account/login', wrong(who));
      }
      await note(stranger, 'account/login/send_unblock_code', { email: who.email });
      const guess = { ...wrong(who), unblockCode: 'ABCD2345' };
      await note(stranger, 'account/login', guess);
      await note(stranger, 'account/login', guess);
      return said;
    };
    const [one, other] = [await journey(known), await journey(unknown)];
    expect(one).toEqual(other);
    expect(one.map((said) => (said as number[])[1])).toEqual([
      ...[103, 103, 114, 103, 103, 114],
      ...[125, 125, 114, undefined, 127, 114],
    ]);
    const sent = await mails(server);
    expect(sent.filter((mail) => mail.includes('X-Unblock-Code'))).toHaveLength(1);
    expect(sent.join()).not.toContain(unknown.email);
  });
});

describe('an account that many clients attack', () => {
  const attack = async (account: { email: string }) => {
    for (let i = 1; i <= 3; i++) await login(`192.0.2.${i}`, wrong(account)).expect(400);
  };

  it('is locked, and opens to who reads its mail, once per code', async () => {
    await start('login.account=3/3600');
    const account = await anAccount();
    await attack(account);
    const { body } = await login(owner, account).expect(400);
    expect(body).toMatchObject({ errno: 125, verificationMethod: 'email-captcha' });
    await from(owner, 'account/login/send_unblock_code', { email: account.email }).expect(200, {});
    const code = await unblockCode(account.uid);
    const bad = await login(owner, { ...account, unblockCode: '22222222' }).expect(400);
    expect(bad.body.errno).toBe(127);
    const typed = ` ${code?.slice(0, 4).toLowerCase()} ${code?.slice(4)}`;
    await login(owner, { ...account, unblockCode: typed }).expect(200);
    const again = await login(owner, { ...account, unblockCode: code }).expect(400);
    expect(again.body.errno).toBe(127);
    await login(owner, account).expect(400);
    server.clock.advance(3600);
    await login(owner, account).expect(200);
  });

  it('does not open by a code of another account, an old one, or one that was refused', async () => {
    await start('login.account=3/86400');
    const [account, other] = [await anAccount(), await anAccount()];
    await attack(account);
    const ask = async ({ email, uid }: typeof account) => {
      await from(owner, 'account/login/send_unblock_code', { email }).expect(200);
      return unblockCode(uid);
    };
    const use = async (code?: string) =>
      (await login(owner, { ...account, unblockCode: code })).body.errno as unknown;
    expect(await use(await ask(other))).toBe(127);
    const refused = await ask(account);
    const rejection = { uid: account.uid, unblockCode: refused };
    await from(owner, 'account/login/reject_unblock_code', rejection).expect(200, {});
    expect(await use(refused)).toBe(127);
    await from(owner, 'account/login/reject_unblock_code', rejection).expect(400);
    const old = await ask(account);
    server.clock.advance(3601);
    expect(await use(old)).toBe(127);
    expect(await use(await ask(account))).toBeUndefined();
  });

  it('gets no more mail than a person wants, by sign-ups neither', async () => {
    await start('mail.account=3/3600');
    const { email } = await anAccount();
    for (let i = 0; i < 2; i++) {
      await from(stranger, 'account/login/send_unblock_code', { email }).expect(200);
    }
    await from(owner, 'account/login/send_unblock_code', { email }).expect(429);
    const other = anAddress();
    for (let i = 0; i < 3; i++) {
      await from(`192.0.2.${i}`, 'account/create', credentials(other)).expect(200);
    }
    await from('192.0.2.9', 'account/create', credentials(other)).expect(429);
  });
});

describe('one stranger', () => {
  it('cannot use up for the owner what lets the owner in', async () => {
    await start('guess.client=none,mail.client=none,reset.client=none,login.client=none');
    const { email, authPW, uid } = await anAccount();
    for (let i = 0; i < 40; i++) {
      await from(stranger, 'account/login/send_unblock_code', { email });
      await from(stranger, 'password/forgot/send_otp', { email });
      await login(stranger, { ...wrong({ email }), unblockCode: '22222222' });
      await login(stranger, wrong({ email }));
    }
    await login(stranger, { email, authPW }).expect(429);
    await from(owner, 'password/forgot/send_otp', { email }).expect(200);
    await from(owner, 'account/login/send_unblock_code', { email }).expect(200);
    const code = await unblockCode(uid);
    await login(owner, { email, authPW, unblockCode: code }).expect(200);
    await login(owner, { email, authPW }).expect(200);
  });
});

it('strangers who sign up a taken address use up none of its owner’s mail', async () => {
  await start('mail.account=3/3600,login.account=3/3600');
  const { email, authPW, uid } = await anAccount();
  const code = await mailedCode(server, uid);
  await post(server, 'recovery_email/verify_code', { uid, code }).expect(200);
  for (let i = 1; i <= 5; i++) {
    const { body } = await from(`192.0.2.${i}`, 'account/create', credentials(email)).expect(400);
    expect(body.errno).toBe(101);
    await login(`192.0.2.${i}`, wrong({ email })).expect(400);
  }
  expect((await login(owner, { email, authPW }).expect(400)).body.errno).toBe(125);
  await from(owner, 'account/login/send_unblock_code', { email }).expect(200);
  await login(owner, { email, authPW, unblockCode: await unblockCode(uid) }).expect(200);
});

it('one token for a new password does not keep the server stretching', async () => {
  await start('login.pair=2/600');
  const { sessionToken, email, password } = await signUp(server);
  const { authPW } = await stretch(email, password);
  const ask = { email, oldAuthPW: authPW };
  const session = bearerOf(sessionToken);
  const { body } = await post(server, 'password/change/start', ask, session).expect(200);
  const by = typedBearer(
    'passwordChangeToken',
    (body as { passwordChangeToken: string }).passwordChangeToken,
  );
  const next = { authPW: randomBytes(32).toString('hex'), wrapKb: randomBytes(32).toString('hex') };
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => post(server, 'password/change/finish', next, by)),
  );
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 200)).toHaveLength(1);
  expect(statuses.filter((status) => status === 429).length).toBeGreaterThanOrEqual(5);
});

it('guesses at mailed digits are counted by the address, also over sign-ups', async () => {
  await start('guess.pair=3/3600,mail.pair=none');
  const email = anAddress();
  const guess = async () => {
    const { body } = await from(stranger, 'account/create', credentials(email)).expect(200);
    const session = bearerOf((body as { sessionToken: string }).sessionToken);
    await from(stranger, 'session/resend_code', {}).set('authorization', session).expect(200);
    const ask = from(stranger, 'session/verify_code', { code: '000000' });
    return ask.set('authorization', session);
  };
  for (let i = 0; i < 3; i++) expect((await guess()).body.errno).toBe(183);
  expect((await guess()).body.errno).toBe(114);
});

describe('credential stuffing', () => {
  it('at 50 a second keeps neither the owner out nor the server from answering', async () => {
    await start('');
    const account = await anAccount();
    const addresses = Array.from({ length: 100 }, anAddress);
    const ticks = addresses.map(async (email, i) => {
      await new Promise((go) => setTimeout(go, i * 20));
      const answer = await login(stranger, wrong(i % 2 === 0 ? account : { email }));
      return answer.status;
    });
    const statuses = Promise.all(ticks);
    for (let i = 0; i < 3; i++) {
      await login(owner, account).expect(200);
      await server.request().get('/readyz').expect(200);
    }
    const answers = await statuses;
    expect([...new Set(answers)].sort()).toEqual([400, 429]);
    // Five guesses at the one account, and fifty in all, were worth a stretching.
    expect(answers.filter((status) => status === 400).length).toBeLessThanOrEqual(50);
    await login(owner, account).expect(200);
    await login(stranger, account).expect(429);
  });
});

it('asks the database the same, whether or not somebody has the address', async () => {
  await start('');
  const account = await anAccount();
  const asked = (email: string) =>
    countingStatements(server, async () => {
      await login(stranger, wrong({ email }));
      await from(stranger, 'account/login/send_unblock_code', { email });
      await login(stranger, { ...wrong({ email }), unblockCode: '22222222' });
    });
  await asked(anAddress()); // the first one makes the key of the table
  await server.app.get(MailerService).settled();
  const hit = await asked(account.email);
  await server.app.get(MailerService).settled();
  const ours = (statements: string[]) => statements.filter((one) => !/ mail (SET|WHERE)/.test(one));
  expect(ours(hit).length).toBeGreaterThan(10);
  expect(ours(hit)).toEqual(ours(await asked(anAddress())));
});

it('keeps nobody’s address in its table', async () => {
  await start('');
  const account = await anAccount();
  await login(stranger, wrong(account)).expect(400);
  const rows = JSON.stringify(await server.db.query(`SELECT b::text FROM budget b`));
  expect(rows).toContain('b');
  for (const word of [account.email, account.uid, stranger, owner, '@']) {
    expect(rows).not.toContain(word);
  }
});

it('has room for a household that signs up, mistypes and signs in by its defaults', async () => {
  await start('');
  for (let i = 0; i < 6; i++) {
    const account = await signUp(server);
    for (let j = 0; j < 2; j++) await post(server, 'account/login', wrong(account)).expect(400);
  }
});

describe('the configuration', () => {
  it.each([
    ['BUDGETS', 'sign-up.client=many'],
    ['BUDGETS', 'no-such.budget=1/2'],
    ['BUDGETS', 'look-up.account=1/0'],
    ['TRUSTED_PROXIES', 'proxy.example.org'],
    ['TRUSTED_PROXIES', '10.0.0.0/33'],
  ])('takes no %s=%s', async (name, value) => {
    await start('');
    expect(() => Config.from({ [name]: value })).toThrow(name);
  });

  it('can lift one limit, or all but one', async () => {
    await start('');
    const { budgets } = Config.from({ BUDGETS: 'all=none,mail.client=1/60' }).limits;
    expect(Object.values(budgets).filter((budget) => budget !== undefined)).toEqual([
      { count: 1, seconds: 60 },
    ]);
    expect(Config.from({ BUDGETS: 'mail.client=none' }).limits.budgets).toMatchObject({
      'mail.client': undefined,
      'mail.account': { count: 30, seconds: 3600 },
    });
  });
});
