import type { Browser } from 'playwright-core';
import { anAddress } from '../support/account-api.ts';
import { mailedCode } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';
import { arrive, describeWeb, enter, launchChromium } from '../support/web.ts';

describeWeb('The pages', () => {
  let server: TestServer;
  let browser: Browser;
  beforeAll(async () => {
    [server, browser] = await Promise.all([TestServer.start(), launchChromium()]);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  it('make an account, whose address is confirmed by the mailed code', async () => {
    const page = await browser.newPage();
    page.on('console', (m) => {
      process.stderr.write(m.text() + '\n');
    });
    await page.goto(server.url);
    await enter(page, { email: anAddress(), password: 'pässwörd' }, '#signup');
    await arrive(page, 'confirm');
    const { uid } = (await server.db.query('SELECT uid FROM account'))[0];
    await page.fill('#code', await mailedCode(server, uid));
    await page.click('#confirm');
    await page.waitForURL('**/settings');
    await page.screenshot({ path: '/tmp/h5/a.png' });
  });
});
