import type { Browser } from 'playwright-core';
import { deriveUnwrapBKey, quickStretch, quickStretchV2 } from '#lib/crypto';
import { mailedCode, mails } from '../support/account.ts';
import { anAddress, post } from '../support/account-api.ts';
import { keysByV1 } from '../support/keys-by-v1.ts';
import { TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, spellings, Visitor } from '../support/web.ts';

/** One person's life with the account, page by page; each test goes on where the one before stopped. */
describeWeb('The pages of an account', () => {
  const email = anAddress();
  const passwords = ['pässwörd one', 'pässwörd two', 'pässwörd three', 'pässwörd four'] as const;
  let server: TestServer;
  let browser: Browser;
  let ada: Visitor;
  let uid: string;
  let kB: Uint8Array;
  let recoveryKey: string;
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    ada = await Visitor.at(server, browser);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  it('say what is wrong with an address or a password before anything is sent', async () => {
    await ada.open('/');
    await ada.inspects('enter');
    const before = ada.sent.length;
    await ada.submits({ email: 'nobody', password: passwords[0] }, '#signup');
    expect(await ada.reads('.problem')).toMatch(/no e-mail address/);
    await ada.submits({ email, password: 'short' }, '#signup');
    expect(await ada.reads('.problem')).toMatch(/8 characters/);
    await ada.inspects('enter-refused');
    expect(ada.sent.length).toBe(before);
  });

  it('make an account, whose address is confirmed by the mailed code', async () => {
    await ada.submits({ email: email.toUpperCase(), password: passwords[0] }, '#signup');
    await ada.sees('confirm');
    await ada.inspects('confirm');
    await ada.submits({ code: '12345' }, '#confirm');
    expect(await ada.reads('.problem')).toMatch(/does not fit/);
    await ada.submits({ code: '0'.repeat(32) }, '#confirm');
    expect(await ada.reads('.problem')).toMatch(/does not fit/);
    const rows = await server.db.query('SELECT uid, email FROM account');
    ({ uid } = rows[0]);
    expect(rows[0].email).toBe(email);
    await ada.submits({ code: await mailedCode(server, uid) }, '#confirm');
    await ada.sees('settings');
    ({ kB } = await keysByV1(server, email, passwords[0]));
  });

  it('know a session until the tab is closed', async () => {
    await ada.page.reload();
    await ada.sees('settings');
    const other = await ada.context.newPage();
    await other.goto(`${server.url}/settings`);
    await other.waitForSelector('main[data-page="enter"]');
    await other.close();
  });

  it('sign out, and in again by any spelling of the address', async () => {
    await ada.page.click('#signout');
    await ada.sees('enter');
    await ada.submits({ email, password: 'not the password' }, '#signin');
    expect(await ada.reads('.problem')).toMatch(/address or the password is wrong/);
    await ada.submits({ email: anAddress(), password: passwords[0] }, '#signin');
    expect(await ada.reads('.problem')).toMatch(/address or the password is wrong/);
    await ada.submits({ email: ` ${email.toUpperCase()} `, password: passwords[0] }, '#signin');
    await ada.sees('settings');
    await ada.inspects('settings');
  });

  it('change the password, and keep the data', async () => {
    await ada.open('/settings/password');
    await ada.inspects('password');
    await ada.submits({ password: 'wrong', 'new-password': passwords[1] }, '#save-password');
    expect(await ada.reads('.problem')).toMatch(/current password is wrong/);
    await ada.submits({ password: passwords[0], 'new-password': passwords[1] }, '#save-password');
    expect(await ada.reads('.note')).toMatch(/changed/);
    expect((await keysByV1(server, email, passwords[1])).kB).toEqual(kB);
    await ada.open('/settings');
    await ada.sees('settings');
  });

  it('make a recovery key, which is stored once its owner has it', async () => {
    await ada.open('/settings/recovery_key');
    await ada.inspects('recovery-key');
    await ada.submits({ password: passwords[1] }, '#make-key');
    await ada.sees('recovery-key-shown');
    await ada.inspects('recovery-key-shown');
    const key = await ada.page.innerText('[data-key]');
    expect(key).toMatch(/^A\w{3}( \w{4}){7}$/);
    const download = ada.page.waitForEvent('download');
    await ada.page.click('#download');
    expect((await download).suggestedFilename()).toBe('lockstep-recovery-key.txt');
    await ada.submits({ 'last-group': 'AAAA' }, '#keep-key');
    expect(await ada.reads('.problem')).toMatch(/another group/);
    await ada.submits({ 'last-group': key.slice(-4).toLowerCase() }, '#keep-key');
    await ada.sees('recovery-key-stored');
    await ada.inspects('recovery-key-stored');
    recoveryKey = key;
  });
  const askReset = async () => {
    await ada.open('/reset_password');
    await ada.submits({ email }, '#send-code');
    await ada.sees('reset-code');
  };
  const resetCode = async () => {
    const letters = (await mails(server)).filter((mail) => mail.includes(`X-Uid: ${uid}`));
    return (
      letters.flatMap((mail) => /^X-Password-Forgot-Otp: (\d{8})$/m.exec(mail)?.[1] ?? []).at(-1) ??
      ''
    );
  };

  it('bring the data back by the recovery key when the password is forgotten', async () => {
    await ada.open('/reset_password');
    await ada.inspects('reset');
    await askReset();
    await ada.inspects('reset-code');
    await ada.submits({ code: '00000000' }, '#give-code');
    expect(await ada.reads('.problem')).toMatch(/does not fit/);
    await ada.submits({ code: await resetCode() }, '#give-code');
    await ada.sees('reset-password');
    await ada.inspects('reset-with-key');
    const wrong = `${recoveryKey.slice(0, -1)}${recoveryKey.endsWith('0') ? '1' : '0'}`;
    await ada.submits({ 'recovery-key': wrong, 'new-password': passwords[2] }, '#set-password');
    expect(await ada.reads('.problem')).toMatch(/not the recovery key/);
    await ada.page.check('#without-key');
    await ada.page.waitForSelector('.problem', { state: 'detached' });
    await ada.page.uncheck('#without-key');
    await ada.submits({ 'recovery-key': recoveryKey.toLowerCase() }, '#set-password');
    await ada.sees('settings');
    expect((await keysByV1(server, email, passwords[2])).kB).toEqual(kB);
  });

  it('take the address along from the sign-in to who has forgotten the password', async () => {
    const forgetful = await Visitor.at(server, browser);
    await forgetful.open('/');
    await forgetful.page.fill('#email', email);
    await forgetful.page.click('a[href^="/reset_password"]');
    await forgetful.sees('reset');
    expect(await forgetful.page.inputValue('#email')).toBe(email);
    await forgetful.context.close();
  });

  it('give the data up without a recovery key, after they said so', async () => {
    await askReset();
    await ada.submits({ code: await resetCode() }, '#give-code');
    await ada.sees('reset-password');
    if ((await ada.page.$('#without-key')) !== null) await ada.page.check('#without-key');
    await ada.inspects('reset-without-key');
    await ada.submits({ 'new-password': passwords[3] }, '#set-password');
    expect(await ada.reads('.problem')).toMatch(/what is lost/);
    await ada.page.check('#knows-loss');
    await ada.page.click('#set-password');
    await ada.sees('settings');
    expect((await keysByV1(server, email, passwords[3])).kB).not.toEqual(kB);
  });

  it('rename a device and sign it out', async () => {
    const { authorization } = await keysByV1(server, email, passwords[3]);
    const firefox = { name: 'Ada’s Firefox', type: 'desktop', availableCommands: {} };
    await post(server, 'account/device', firefox, authorization).expect(200);
    await ada.open('/settings/clients');
    await ada.page.click('button[aria-label="Rename Ada’s Firefox"]');
    await ada.inspects('clients-rename');
    await ada.page.fill('[data-client] input', 'Büro 🦊');
    await ada.page.keyboard.press('Enter');
    await ada.page.waitForSelector('[data-client="Büro 🦊"]');
    await ada.inspects('clients');
    await ada.page.click('button[aria-label="Sign Büro 🦊 out"]');
    await ada.page.waitForSelector('[data-client="Büro 🦊"]', { state: 'detached' });
    await post(server, 'account/device', firefox, authorization).expect(401);
  });

  it('delete the account by its password', async () => {
    await ada.open('/settings/delete');
    await ada.inspects('delete');
    await ada.submits({ password: passwords[3] }, '#delete');
    expect(await ada.reads('.problem')).toMatch(/Say first/);
    await ada.page.check('#sure');
    await ada.submits({ password: 'wrong one' }, '#delete');
    expect(await ada.reads('.problem')).toMatch(/password is wrong/);
    await ada.submits({ password: passwords[3] }, '#delete');
    await ada.sees('deleted');
    await ada.inspects('deleted');
    expect(await server.db.query('SELECT 1 FROM account')).toEqual([]);
    expect(await ada.keeps()).toBe('[[],[],""]');
  });

  it('sent neither a password nor what opens kB, to this server or another', async () => {
    const salts = ada.sent.flatMap(
      (text) => text.match(/identity[^"]*quickStretchV2:[0-9a-f]{32}/g) ?? [],
    );
    expect(new Set(salts).size).toBe(4);
    const secrets = [kB, ...passwords.map((password) => Buffer.from(password))];
    for (const password of passwords) {
      secrets.push(deriveUnwrapBKey(await quickStretch(email, password)));
      for (const salt of new Set(salts)) {
        secrets.push(deriveUnwrapBKey(await quickStretchV2(salt, password)));
      }
    }
    const sent = ada.sent.join('\n');
    expect(secrets.flatMap(spellings).filter((secret) => sent.includes(secret))).toEqual([]);
    expect([...ada.hosts]).toEqual([new URL(server.url).host]);
  });

  it('did nothing that their policy forbids', () => {
    expect(ada.complaints).toEqual([]);
  });
});
