import type { Browser } from 'playwright-core';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { join, refusal, type Victim } from '../hostile/people.ts';
import { post } from '../support/account-api.ts';
import { forget, stretch, typedBearer } from '../support/passwords.ts';

describeWeb('The pages on which somebody looks after the keys of an app', () => {
  let server: TestServer;
  let browser: Browser;
  let alice: Victim;
  let bob: Victim;
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    alice = await join(server, 'Alice');
    bob = await join(server, 'Bob');
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  /** Somebody at the keys of demo-app. */
  async function atTheDesk(
    { person: { email, password } }: { person: Pick<Victim['person'], 'email' | 'password'> },
    { inspecting = false } = {},
  ): Promise<Visitor> {
    const visitor = await Visitor.at(server, browser);
    await visitor.open('/settings/keys');
    await visitor.sees('enter');
    await visitor.submits({ email, password }, '#signin');
    await visitor.sees('keys');
    if (inspecting) await visitor.inspects('keys-of-apps');
    await visitor.page.click('[data-app="demo-app"] a.button');
    await visitor.sees('keys-password');
    if (inspecting) await visitor.inspects('keys-password');
    await visitor.submits({ password }, '#open-keys');
    await visitor.sees('keys-of-app');
    await visitor.page.waitForSelector('[data-key], .problem');
    return visitor;
  }
  const states = (visitor: Visitor) =>
    visitor.page.$$eval('[data-key]', (items) =>
      items.map((item) => (item as HTMLElement).dataset['state']),
    );

  it('are led to before an app is revoked, in which the key stays to be found', async () => {
    const carol = await join(server, 'Carol');
    const { email, password } = carol.person;
    const visitor = await Visitor.at(server, browser);
    await visitor.open('/settings/clients');
    await visitor.sees('enter');
    await visitor.submits({ email, password }, '#signin');
    await visitor.sees('clients');
    await visitor.page.waitForSelector('[data-app="demo-app"]');
    expect(await visitor.page.innerText('[data-app="demo-app"]')).toContain(
      'people who use the app find your public key',
    );
    await visitor.inspects('connected-app-with-keys');
    await visitor.page.click('[data-app="demo-app"] a');
    await visitor.sees('keys-password');
    await visitor.open('/settings/clients');
    await visitor.page.click('[data-app="demo-app"] .danger');
    expect(await visitor.reads('.note')).toContain('still find your public key');
    const found = await bob.device.keys.lookUp(carol.device.app.uid);
    expect(found.uid).toBe(carol.device.app.uid);
    await visitor.context.close();
  });

  it('make new keys, revoke them, and say what follows before', async () => {
    const visitor = await atTheDesk(alice, { inspecting: true });
    expect(await states(visitor)).toEqual(['active']);
    await visitor.page.click('#rotate');
    await visitor.inspects('keys-rotate');
    expect(await visitor.page.innerText('.asked')).toMatch(/what was sent before still opens/);
    await visitor.page.click('#rotate-really');
    expect(await visitor.reads('.note')).toBe('You have new keys.');
    await visitor.page.waitForSelector('[data-state="retired"]');
    await visitor.page.click('#revoke');
    await visitor.page.click('#revoke-really');
    await visitor.page.waitForSelector('[data-state="revoked"]');
    expect((await states(visitor)).sort()).toEqual(['active', 'retired', 'revoked']);
    await visitor.page.click('summary');
    await visitor.inspects('keys-history');
    expect(await visitor.page.$$('[data-version]')).toHaveLength(3);
    const { list } = await alice.device.keys.refresh();
    expect(list.ver).toBe(3);
    expect(visitor.complaints).toEqual([]);
  });

  it('compare with somebody, and remember it', async () => {
    const visitor = await atTheDesk(alice);
    await visitor.submits({ email: 'nobody@example.org' }, '#find');
    expect(await visitor.reads('.problem')).toMatch(/can be found in this app/);
    await visitor.submits({ email: alice.person.email }, '#find');
    await visitor.page.waitForSelector('.problem:has-text("That is you")');
    await visitor.submits({ email: bob.person.email }, '#find');
    await visitor.page.click(`[data-person="${bob.device.app.uid}"] button`);
    await visitor.sees('safety');
    const shown = await visitor.page.getAttribute('[data-number]', 'data-number');
    const { number } = await bob.device.keys.contacts.safety(alice.device.app.uid);
    expect(shown).toBe(number);
    await visitor.inspects('keys-safety');
    const other = number.replace(/\d$/, (digit) => String((Number(digit) + 1) % 10));
    await visitor.submits({ said: other }, '#check');
    expect(await visitor.reads('.problem')).toMatch(/does not fit/);
    await visitor.submits({ said: number.slice(5) }, '#check');
    await visitor.page.waitForSelector('.problem:has-text("60 digits")');
    await visitor.submits({ said: number.replaceAll(/(.{5})/g, '$1 ') }, '#check');
    expect(await visitor.reads('.note')).toMatch(/you compared with this person/);
    await visitor.page.click('#back');
    await visitor.sees('keys-of-app');
    await visitor.page.waitForSelector('[data-person]');
    await visitor.inspects('keys-people');
    const said = await visitor.page.innerText(`[data-person="${bob.device.app.uid}"]`);
    expect(said).toContain('compared');
    expect(said).not.toContain('not compared');
    const another = await atTheDesk(alice);
    const there = await another.page.innerText(`[data-person="${bob.device.app.uid}"]`);
    expect(there).toContain(bob.person.email);
    expect(there).not.toContain('not compared');
    await another.page.click(`[data-person="${bob.device.app.uid}"] button`);
    await another.page.waitForSelector('text=You compared with this person before');
    expect(visitor.complaints).toEqual([]);
  });

  it('tell when the server answers an address with another account', async () => {
    const mallory = await join(server, 'Mallory');
    const { uid } = mallory.device.app;
    const visitor = await atTheDesk(alice);
    await visitor.submits({ email: bob.person.email }, '#find');
    await visitor.reads('.note');
    await visitor.page.route('**/keys/v1/discoveries', async (route) => {
      const json = { emails: [mallory.person.email] };
      await route.continue({ postData: JSON.stringify(json) });
    });
    await visitor.submits({ email: bob.person.email }, '#find');
    expect(await visitor.reads('.problem')).toMatch(/another identity than before/);
    expect(await visitor.page.$$(`[data-person="${uid}"]`)).toEqual([]);
    await visitor.inspects('keys-another-account');
    await visitor.page.click('#accept');
    await visitor.page.waitForSelector(`[data-person="${uid}"]`);
  });

  it('let nobody find somebody who wants that', async () => {
    const visitor = await atTheDesk(alice);
    await visitor.page.click('#discoverable');
    expect(await visitor.reads('.note')).toBe('Saved.');
    const found = await bob.device.keys.discover([alice.person.email]);
    expect(found.size).toBe(0);
    await visitor.page.click('#discoverable');
    await until(async () => (await bob.device.keys.discover([alice.person.email])).size === 1);
  });

  it('begin anew after a password was reset, when somebody says so', async () => {
    const carol = await join(server, 'Carol');
    const { uid } = carol.device.app;
    await bob.device.keys.lookUp(uid);
    const { email } = carol.person;
    const password = 'another password';
    const { authPW } = await stretch(email, password);
    const token = typedBearer('accountResetToken', await forget(server, { email, uid }));
    await post(server, 'account/reset', { authPW }, token).expect(200);
    const visitor = await atTheDesk({ person: { email, password } });
    expect(await visitor.reads('.problem')).toMatch(/without a recovery key/);
    expect(await visitor.page.$('[data-key]')).toBeNull();
    await visitor.inspects('keys-reset');
    // Whoever thinks it over is asked for the password once more, and then it goes on.
    server.clock.advance(400);
    await visitor.page.click('#reset');
    await visitor.page.click('#reset-really');
    await visitor.sees('prove-again');
    await visitor.submits({ password }, '#prove');
    expect(await visitor.reads('.note')).toBe('You began anew.');
    await visitor.page.waitForSelector('[data-key][data-state="active"]');
    await expect(bob.device.keys.lookUp(uid)).rejects.toMatchObject(refusal('IDENTITY_RESET'));
  });

  it('send neither the password nor a key', async () => {
    const visitor = await atTheDesk(bob);
    const { kBr } = bob.device.app;
    const sent = visitor.sent.join('\n');
    for (const secret of [
      bob.person.password,
      Buffer.from(kBr.k).toString('hex'),
      Buffer.from(kBr.k).toString('base64url'),
    ]) {
      expect(sent).not.toContain(secret);
    }
  });
});
