import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, deflateSync } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { type Account, authorizationUrl, authorize, signUp } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

/** A picture of one pixel. */
function pixel(): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [size, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    size.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([size, body, sum]);
  };
  const head = Buffer.from('00000001000000010800000000', 'hex');
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    ...[chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.from([0, 128])))],
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** One developer, page by page; each test goes on where the one before stopped. */
describeWeb('The pages for developers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-developer-'));
  let server: TestServer;
  let browser: Browser;
  let ada: Visitor;
  let account: Account;
  beforeAll(async () => {
    server = await TestServer.start({ APP_REGISTRATION: 'anyone' });
    browser = await launchChromium();
    ada = await Visitor.at(server, browser);
    account = await signUp(server);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
    rmSync(folder, { recursive: true });
  });
  const secret = () => ada.page.innerText('#client-secret');

  it('ask who it is, and register an app, whose secret is shown once', async () => {
    await ada.open('/apps');
    await ada.sees('enter');
    await ada.submits({ email: account.email, password: account.password }, '#signin');
    await ada.sees('apps');
    await ada.page.waitForSelector('text=You have registered no app.');
    await ada.inspects('apps-none');
    await ada.page.click('a:text("Register an app")');
    await ada.sees('new-app');
    expect(await ada.page.innerText('label[for="app-scope-storage"]')).toMatch(/– storage$/);
    await ada.page.check('#app-secret');
    await ada.page.click('summary');
    await ada.inspects('app-new');
    const fields = { 'app-name': 'Firefox', 'app-addresses': 'https://notes.example.org/callback' };
    await ada.submits(fields, '#save-app');
    expect(await ada.reads('.problem')).toMatch(/^This name cannot be used/);
    await ada.submits({ 'app-name': 'Wren <b>' }, '#save-app');
    await ada.page.waitForSelector('.problem');
    await ada.submits({ 'app-name': 'Wren', 'app-addresses': 'http://x.example/*' }, '#save-app');
    await ada.page.waitForSelector('text=One of the addresses cannot be used.');
    await ada.page.waitForSelector('text=(An address is exact, without wildcards.)');
    await ada.submits(fields, '#app-type-web');
    await ada.submits({ 'app-name': 'Wren' }, '#save-app');
    await ada.sees('app');
    expect(await secret()).toMatch(/^[\w-]{43}$/);
    await ada.inspects('app-registered');
    const made = await secret();
    expect(await ada.keeps()).not.toContain(made);
    await ada.page.reload();
    await ada.sees('app');
    expect(await ada.page.innerText('main')).not.toContain(made);
  });

  it('change it, also when the password is asked for in between', async () => {
    await server.db.query(
      `UPDATE session SET auth_at = auth_at - interval '1 hour' WHERE uid = $1`,
      [account.uid],
    );
    await ada.submits({ 'app-name': 'Wren and sons' }, '#save-app');
    await ada.sees('prove-again');
    await ada.submits({ password: account.password }, '#prove');
    await ada.sees('app');
    expect(await ada.reads('.note')).toMatch(/^Saved/);
    await ada.page.waitForSelector('h1:text("Wren and sons")');
    await ada.page.click('#rotate');
    expect(await secret()).toMatch(/^[\w-]{43}$/);
    await ada.page.waitForSelector('text=Two secrets are good');
  });

  it('give it a picture, and load nothing from elsewhere', async () => {
    const file = join(folder, 'logo.png');
    writeFileSync(file, pixel());
    await ada.page.setInputFiles('#logo', file);
    await ada.page.waitForSelector('img[src^="/apps/logos/"]');
    await ada.inspects('app');
    await ada.page.click('text=All apps');
    await ada.sees('apps');
    await ada.page.waitForSelector('img[src^="/apps/logos/"]');
    await ada.inspects('apps');
    expect([...ada.hosts]).toEqual([new URL(server.url).host]);
    expect(ada.complaints).toEqual([]);
  });

  it('show the operator every app, and what comes with the server as it is', async () => {
    const boss = await Visitor.at(server, browser);
    const operator = await signUp(server);
    await server.db.query(`INSERT INTO operator (uid, created_at) VALUES ($1, now())`, [
      operator.uid,
    ]);
    await boss.open('/apps');
    await boss.submits({ email: operator.email, password: operator.password }, '#signin');
    await boss.page.waitForSelector(`text=of ${account.email}`);
    await boss.inspects('apps-operator');
    await boss.open('/apps/app/demo-app');
    await boss.page.waitForSelector('text=comes with the server and stays');
    expect(await boss.page.$('#save-app')).toBeNull();
    await boss.context.close();
  });

  it('say to whom it asks who added it, with its picture and links, then and afterwards', async () => {
    await ada.page.click('a:text("Show Wren and sons")');
    await ada.sees('app');
    const clientId = await ada.page.innerText('#client-id');
    const places = ['homepage', 'policy', 'terms'];
    const links = places.map((place) => [`app-${place}`, `https://notes.example.org/${place}`]);
    await ada.page.click('summary');
    await ada.submits(Object.fromEntries(links), '#save-app');
    await ada.reads('.note');

    const guest = await signUp(server);
    const visitor = await Visitor.at(server, browser);
    const redirectUri = 'https://notes.example.org/callback';
    const request = { clientId, redirectUri, scope: 'openid profile' };
    await visitor.open(authorizationUrl(server, request).url.href);
    await visitor.sees('enter');
    await visitor.submits({ email: guest.email, password: guest.password }, '#signin');
    await visitor.sees('consent');
    const asked = await visitor.page.innerText('main');
    expect(asked).toContain('Nobody has checked that its name is true.');
    expect(asked).toContain('The answer goes to: notes.example.org');
    const hrefs = await visitor.page.$$eval('.app a', (all) =>
      all.map((a) => a.getAttribute('href')),
    );
    expect(hrefs).toEqual(links.map(([, href]) => href));
    await visitor.inspects('consent-developer');
    // Where the answer would go, nobody is.
    await authorize(server, guest, request);
    await visitor.open('/signin');
    await visitor.submits({ email: guest.email, password: guest.password }, '#signin');
    await visitor.sees('settings');
    await visitor.open('/settings/clients');
    await visitor.page.waitForSelector(`[data-app="${clientId}"] img`);
    await visitor.inspects('connected-apps-developer');
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  it('remove it', async () => {
    await ada.page.click('#remove');
    await ada.inspects('app-remove');
    await ada.page.click('#remove-app');
    await ada.sees('apps');
    await ada.page.waitForSelector('text=You have registered no app.');
    await ada.open('/apps/app/nobody');
    await ada.page.waitForSelector('text=There is no such app');
  });
});
