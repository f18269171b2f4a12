import { MailerService } from '../../apps/server/src/mail/mailer.service.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { anAddress, credentials, post } from '../support/account-api.ts';
import { mails } from '../support/account.ts';
import { MailServer } from '../support/mail-server.ts';
import { freePort, TestServer } from '../support/test-server.ts';

const uid = '0123456789abcdef0123456789abcdef';
const DAY_SECONDS = 86_400;

let mailServer: MailServer | undefined;
let server: TestServer | undefined;
afterEach(async () => {
  await server?.stop();
  await mailServer?.stop();
  server = mailServer = undefined;
});

const start = async (url: string, environment: Record<string, string> = {}) => {
  server = await TestServer.start({ SMTP_URL: url, ...environment });
  const mailer = server.app.get(MailerService);
  return { server, mailer, waiting: () => rows(server) };
};

const rows = async (one?: TestServer) =>
  (await one?.db.query<{ tries: number; address: string }[]>(
    `SELECT tries, address FROM mail ORDER BY id`,
  )) ?? [];

const signUp = async (one: TestServer, email = anAddress()) =>
  (await post(one, 'account/create', credentials(email)).expect(200)).body as { uid: string };

/** Tries again what is due after so long. */
const later = async (one: TestServer, seconds: number) => {
  one.clock.advance(seconds);
  const mailer = one.app.get(MailerService);
  mailer.hurry();
  await mailer.settled();
};

/** What a mail program shows: quoted-printable undone. */
const decoded = (text: string) =>
  text
    .replaceAll(/=\r?\n/g, '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));

describe('a mail server', () => {
  it('gets a sign-up’s mail, as text and as HTML, with a link to the public address', async () => {
    mailServer = await MailServer.start();
    const {
      server: front,
      mailer,
      waiting,
    } = await start(mailServer.url, {
      PUBLIC_URL: 'https://lockstep.example.org',
      SIGN_UP: 'open',
      MAIL_FROM: 'The Lockstep <post@example.org>',
    });
    const email = anAddress();
    const answer = await fetch(`http://localhost:${front.config.port}/auth/v1/account/create`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(credentials(email)),
    });
    const account = (await answer.json()) as { uid: string };
    await mailer.settled();
    const [mail] = mailServer.received;
    expect(mail?.to).toEqual([email]);
    const text = decoded(mail?.text ?? '');
    const code = /^X-Verify-Code: ([0-9a-f]{32})\r$/m.exec(text)?.[1] ?? 'none';
    const link = `https://lockstep.example.org/verify_email?uid=${account.uid}&code=${code}`;
    expect(text).toContain(`X-Uid: ${account.uid}`);
    expect(text).toContain('From: The Lockstep <post@example.org>');
    expect(text).toContain('Content-Type: text/plain');
    expect(text).toContain(link);
    expect(text).toContain('Content-Type: text/html');
    expect(text).toContain(`href="${link.replace('&', '&#38;')}"`);
    expect(await waiting()).toEqual([]);
  });

  it('that is away holds no sign-up up, and gets the mail when it is back', async () => {
    const port = await freePort();
    const { server: front, mailer, waiting } = await start(`smtp://127.0.0.1:${port}`);
    const account = await signUp(front);
    await mailer.settled();
    expect(await waiting()).toMatchObject([{ tries: 1 }]);
    await later(front, 5);
    expect(await waiting()).toMatchObject([{ tries: 1 }]);
    await later(front, 6);
    expect(await waiting()).toMatchObject([{ tries: 2 }]);
    mailServer = await MailServer.start({}, port);
    await later(front, 21);
    expect(mailServer.received).toHaveLength(1);
    expect(mailServer.received[0]?.text).toContain(`X-Uid: ${account.uid}`);
    expect(await waiting()).toEqual([]);
  });

  it('that stays away is given up after a day', async () => {
    const { server: front, mailer, waiting } = await start(`smtp://127.0.0.1:${await freePort()}`);
    await signUp(front);
    await mailer.settled();
    await later(front, DAY_SECONDS - 60);
    expect(await waiting()).toHaveLength(1);
    await later(front, 7200);
    expect(await waiting()).toEqual([]);
  });

  it.each([
    [550, 'for good is not asked again', 0],
    [451, 'for now is asked again', 1],
  ])('that refuses a recipient by %i %s', async (responseCode, _, left) => {
    const bad = anAddress();
    mailServer = await MailServer.start({
      onRcptTo({ address }, _session, done) {
        done(address === bad ? Object.assign(new Error('No.'), { responseCode }) : null);
      },
    });
    const { server: front, mailer, waiting } = await start(mailServer.url);
    await signUp(front, bad);
    await signUp(front);
    await mailer.settled();
    expect(await waiting()).toHaveLength(left);
    expect(mailServer.received).toHaveLength(1);
  });

  it('that is slow with one mail holds up neither the others nor the end of the server', async () => {
    const slow = anAddress();
    mailServer = await MailServer.start({
      onRcptTo({ address }, _session, done) {
        if (address !== slow) done();
      },
    });
    const { server: front } = await start(mailServer.url);
    await signUp(front, slow);
    for (let i = 0; i < 5; i++) await signUp(front);
    while (mailServer.received.length < 5) await new Promise(setImmediate);
    await front.stop();
    server = undefined;
  });

  it('without encryption gets nothing when encryption is required', async () => {
    mailServer = await MailServer.start();
    const {
      server: front,
      mailer,
      waiting,
    } = await start(mailServer.url, { SMTP_TLS: 'required' });
    await signUp(front);
    await mailer.settled();
    expect(mailServer.received).toEqual([]);
    expect(await waiting()).toHaveLength(1);
  });

  it('is told the name and password that the address holds', async () => {
    let given: unknown;
    mailServer = await MailServer.start({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth({ username, password }, _session, done) {
        given = { username, password };
        done(null, { user: username });
      },
    });
    const url = mailServer.url.replace('smtp://', 'smtp://post%40office:s%C3%A4cret@');
    const { server: front, mailer } = await start(url);
    await signUp(front);
    await mailer.settled();
    expect(given).toEqual({ username: 'post@office', password: 'säcret' });
    expect(mailServer.received).toHaveLength(1);
  });

  it('whose certificate is nobody’s gets neither mail nor password', async () => {
    let given: unknown;
    mailServer = await MailServer.start({
      disabledCommands: [],
      onAuth(auth, _session, done) {
        given = auth;
        done(null, { user: auth.username });
      },
    });
    const url = mailServer.url.replace('smtp://', 'smtp://post:secret@');
    const { server: front, mailer, waiting } = await start(url);
    await signUp(front);
    await mailer.settled();
    expect(mailServer.received).toEqual([]);
    expect(given).toBeUndefined();
    expect(await waiting()).toHaveLength(1);
  });
});

describe('the configuration', () => {
  const read = (environment: Record<string, string>) => Config.from(environment).smtp?.requireTls;

  it('requires encryption beyond this machine, unless it says otherwise', () => {
    expect(read({ SMTP_URL: 'smtp://mail.example.org' })).toBe(true);
    expect(read({ SMTP_URL: 'smtp://mail.example.org', SMTP_TLS: 'optional' })).toBe(false);
    expect(read({ SMTP_URL: 'smtp://127.0.0.1:2525' })).toBe(false);
    expect(read({ SMTP_URL: 'smtp://127.0.0.1:2525', SMTP_TLS: 'required' })).toBe(true);
  });

  it.each(['Two <a@b.org>, <c@d.org>', 'a@b.org\nBcc: c@d.org', 'nobody'])(
    'takes one sender, and not %j',
    (from) => {
      expect(() => Config.from({ MAIL_FROM: from })).toThrow('MAIL_FROM');
    },
  );
});

describe('a mail', () => {
  it('is for one address, and never for one that brings a header along', async () => {
    const { mailer, waiting } = await start(`smtp://127.0.0.1:${await freePort()}`);
    for (const address of [
      'a@example.org\r\nBcc: b@example.org',
      'a@example.org,b@example.org',
      'A <a@example.org>',
    ]) {
      await expect(mailer.send('password-changed', address, { uid })).rejects.toThrow('address');
    }
    expect(await waiting()).toEqual([]);
  });

  it('shows a device’s name as text on one line', async () => {
    mailServer = await MailServer.start();
    const { mailer } = await start(mailServer.url);
    const device = 'Ann’s <b>phone</b>\r\nBcc: b@example.org';
    await mailer.send('new-sign-in', 'a@example.org', { uid, device });
    await mailer.settled();
    const [mail] = mailServer.received;
    expect(mail?.to).toEqual(['a@example.org']);
    const text = Buffer.from(decoded(mail?.text ?? ''), 'latin1').toString();
    expect(text).toContain('with Ann’s <b>phone</b> Bcc: b@example.org.');
    expect(text).toContain('&#60;b&#62;phone');
    expect(text).not.toMatch(/^bcc/im);
  });

  it('is not sent when the change that it tells of was not made', async () => {
    mailServer = await MailServer.start();
    const { server: front, mailer, waiting } = await start(mailServer.url);
    const broken = front.db.transaction(async (tx) => {
      await mailer.send('password-changed', 'a@example.org', { uid }, tx);
      throw new Error('no change');
    });
    await expect(broken).rejects.toThrow('no change');
    mailer.hurry();
    await mailer.settled();
    expect(mailServer.received).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  it('to an address that nobody has is none', async () => {
    mailServer = await MailServer.start();
    const { mailer, waiting } = await start(mailServer.url);
    await mailer.send('password-reset-code', undefined, { uid, code: '12345678' });
    await mailer.settled();
    expect(mailServer.received).toEqual([]);
    expect(await waiting()).toEqual([]);
  });

  it('is a file while there is no mail server', async () => {
    server = await TestServer.start();
    const mailer = server.app.get(MailerService);
    await mailer.send('unblock-code', 'a@example.org', { uid, code: 'ABCD2345' });
    expect(await mails(server)).toEqual([expect.stringContaining('X-Unblock-Code: ABCD2345')]);
    expect(await rows(server)).toEqual([]);
  });

  it('is a file that code and link can be copied from, with any editor', async () => {
    server = await TestServer.start();
    const mailer = server.app.get(MailerService);
    const code = 'c0de'.repeat(8);
    await mailer.send('verify-address', 'a@example.org', { uid, code });
    await mailer.settled();
    const [file = ''] = await mails(server);
    const link = `${server.url}/verify_email?uid=${uid}&code=${code}`;
    expect(file).toContain(`\r\n${link}\r\n`);
    expect(file).toContain(`\r\n    ${code}\r\n`);
    expect(file).toContain(`<a href="${link.replace('&', '&#38;')}">`);
  });
});
