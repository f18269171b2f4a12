import jsQr from 'jsqr';
import type { Browser, CDPSession } from 'playwright-core';
import { type Account, bearerOf, mails, signUp } from '../support/account.ts';
import { get } from '../support/account-api.ts';
import { nextCode } from '../support/factors.ts';
import { TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

/** Pixels for each module of a QR code. */
const SCALE = 4;

/** Reads the QR code that a page draws, as a telephone would. */
async function readQr({ page }: Visitor): Promise<string> {
  const { box, path } = await page.$eval('main svg', (svg) => ({
    box: svg.getAttribute('viewBox') ?? '',
    path: svg.querySelector('path')?.getAttribute('d') ?? '',
  }));
  const side = Number(box.split(' ')[2]) * SCALE;
  const pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)) {
    for (let row = 0; row < SCALE; row++) {
      const start = ((Number(y) * SCALE + row) * side + Number(x) * SCALE) * 4;
      for (let i = 0; i < SCALE; i++) pixels.fill(0, start + i * 4, start + i * 4 + 3);
    }
  }
  const read = jsQr as unknown as typeof jsQr.default;
  return read(pixels, side, side)?.data ?? '';
}

/** One account, page by page; each test goes on where the one before stopped. */
describeWeb('The pages of second factors', () => {
  let server: TestServer;
  let browser: Browser;
  let ada: Visitor;
  let account: Account;
  let authenticators: CDPSession;
  let secret = '';
  let codes: string[] = [];
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    ada = await Visitor.at(server, browser);
    account = await signUp(server, { password: 'pässwörd one' });
    authenticators = await ada.context.newCDPSession(ada.page);
    await authenticators.send('WebAuthn.enable');
    await authenticators.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        ...{ protocol: 'ctap2', transport: 'internal', hasResidentKey: true },
        ...{ hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
      },
    });
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  const signIn = async (password = account.password) => {
    await ada.open('/signin');
    await ada.submits({ email: account.email, password }, '#signin');
  };
  const signOut = async () => {
    await ada.open('/settings');
    await ada.page.click('#signout');
    await ada.sees('enter');
  };
  const tokenKept = () =>
    ada.page.evaluate(() => {
      const kept = JSON.parse(sessionStorage.getItem('session') ?? '{}') as {
        sessionToken: string;
      };
      return kept.sessionToken;
    });

  it('connect an authenticator by a QR code that a telephone reads', async () => {
    await signIn();
    await ada.sees('settings');
    await ada.page.click('a[href="/settings/second_factors"]');
    await ada.sees('second-factors');
    await ada.inspects('second-factors-off');
    await ada.page.click('#add-totp');
    await ada.sees('add-totp');
    await ada.inspects('add-totp');
    const shown = (await ada.page.innerText('[data-secret]')).replaceAll(' ', '');
    secret = new URL(await readQr(ada)).searchParams.get('secret') ?? '';
    expect(secret).toBe(shown);
    await ada.submits({ 'second-code': '12' }, '#enable-totp');
    expect(await ada.reads('.problem')).toMatch(/wrong, too old/);
    await ada.submits({ 'second-code': nextCode(server, secret) }, '#enable-totp');
    await ada.sees('backup-codes');
    await ada.inspects('backup-codes');
    codes = (await ada.page.innerText('[data-codes]')).trim().split('\n');
    expect(codes).toHaveLength(10);
    const file = ada.page.waitForEvent('download');
    await ada.page.click('#download-codes');
    expect((await file).suggestedFilename()).toBe('lockstep-backup-codes.txt');
    await ada.page.click('#keep-codes');
    await ada.sees('second-factors');
    await ada.inspects('second-factors-on');
    expect((await mails(server)).join()).toContain('An authenticator was added');
  });

  it('ask for the six digits after the password, and for nothing before they fit', async () => {
    await signOut();
    await signIn();
    await ada.sees('second-step-totp');
    await ada.inspects('second-step-totp');
    expect(await ada.keeps()).not.toContain('sessionToken');
    await ada.submits({ 'second-code': '000000' }, '#give-factor');
    expect(await ada.reads('.problem')).toMatch(/wrong, too old/);
    await ada.submits({ 'second-code': nextCode(server, secret) }, '#give-factor');
    await ada.sees('settings');
  });

  it('take a backup code, by the keyboard alone', async () => {
    await signOut();
    await signIn();
    await ada.sees('second-step-totp');
    await ada.page.focus('#use-backup');
    await ada.page.keyboard.press('Enter');
    await ada.sees('second-step-backup');
    await ada.inspects('second-step-backup');
    await ada.page.keyboard.type(codes[0] ?? '');
    await ada.page.keyboard.press('Enter');
    await ada.sees('settings');
    await ada.open('/settings/second_factors');
    await ada.sees('second-factors');
    expect(await ada.page.innerText('main')).toContain('9 codes are left');
  });

  it('ask for password and factor once more, in place, for what is dangerous', async () => {
    server.clock.advance(400);
    await ada.page.fill('#passkey-name', 'My telephone');
    await ada.page.click('#add-passkey');
    await ada.sees('prove-again');
    await ada.inspects('prove-again');
    await ada.submits({ password: 'wrong' }, '#prove');
    expect(await ada.reads('.problem')).toMatch(/password is wrong/);
    await ada.submits({ password: account.password }, '#prove');
    await ada.sees('second-step-totp');
    await ada.submits({ 'second-code': nextCode(server, secret) }, '#give-factor');
    await ada.page.waitForSelector('[data-passkey="My telephone"]');
    await ada.inspects('second-factors-passkey');
  });

  it('sign in by a passkey, which the browser asks for', async () => {
    await signOut();
    await signIn();
    await ada.sees('second-step-passkey');
    await ada.inspects('second-step-passkey');
    await ada.page.click('#give-factor');
    await ada.sees('settings');
    const { body } = await get(server, 'session/status', bearerOf(await tokenKept())).expect(200);
    expect(body.details.sessionVerificationMethod).toBe('passkey');
  });

  it('rename a passkey and remove it', async () => {
    await ada.open('/settings/second_factors');
    await ada.page.click('[aria-label="Rename My telephone"]');
    await ada.submits({ 'new-passkey-name': 'The old one' }, '[data-passkey] button.main');
    await ada.page.click('[aria-label="Remove The old one"]');
    await ada.page.waitForSelector('[data-passkey]', { state: 'detached' });
    expect((await mails(server)).join()).toContain('A passkey was removed');
  });

  it('change the password only with the second factor', async () => {
    server.clock.advance(400);
    await ada.open('/settings/password');
    const fields = { password: account.password, 'new-password': 'pässwörd two' };
    await ada.submits(fields, '#save-password');
    await ada.sees('second-step-totp');
    await ada.submits({ 'second-code': nextCode(server, secret) }, '#give-factor');
    await ada.sees('password');
    expect(await ada.reads('.note')).toMatch(/changed/);
    account = { ...account, password: 'pässwörd two' };
  });

  it('make a recovery key only with the second factor', async () => {
    server.clock.advance(400);
    await ada.open('/settings/recovery_key');
    await ada.submits({ password: account.password }, '#make-key');
    await ada.sees('recovery-key-shown');
    const key = await ada.page.innerText('[data-key]');
    await ada.submits({ 'last-group': key.slice(-4) }, '#keep-key');
    await ada.sees('second-step-totp');
    await ada.submits({ 'second-code': nextCode(server, secret) }, '#give-factor');
    await ada.sees('recovery-key-stored');
  });

  it('reset the password by mail only with the second factor', async () => {
    await signOut();
    await ada.open('/reset_password');
    await ada.submits({ email: account.email }, '#send-code');
    await ada.sees('reset-code');
    const digits = (await mails(server))
      .flatMap((mail) => /^X-Password-Forgot-Otp: (\d{8})$/m.exec(mail)?.[1] ?? [])
      .at(-1);
    await ada.submits({ code: digits ?? '' }, '#give-code');
    await ada.sees('second-step-totp');
    await ada.submits({ 'second-code': nextCode(server, secret) }, '#give-factor');
    await ada.sees('reset-password');
    await ada.page.check('#without-key');
    await ada.page.check('#knows-loss');
    await ada.submits({ 'new-password': 'pässwörd three' }, '#set-password');
    await ada.sees('settings');
    account = { ...account, password: 'pässwörd three' };
  });

  it('turn the authenticator off, and then the password suffices', async () => {
    await ada.open('/settings/second_factors');
    await ada.page.click('#remove-totp');
    await ada.page.waitForSelector('#add-totp');
    await signOut();
    await signIn();
    await ada.sees('settings');
  });

  it('break no policy and ask no other host', () => {
    expect(ada.complaints).toEqual([]);
    expect([...ada.hosts]).toEqual([new URL(server.url).host]);
  });
});
