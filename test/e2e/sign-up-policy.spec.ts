import { randomBytes } from 'node:crypto';
import { InvitationsService } from '../../apps/server/src/accounts/invitations.service.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { mails, signUp } from '../support/account.ts';
import { anAddress, credentials, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

describe('where sign-up needs an invitation', () => {
  let server: TestServer;
  let invitations: InvitationsService;
  beforeAll(async () => {
    server = await TestServer.start({ SIGN_UP: 'invite' });
    invitations = server.app.get(InvitationsService);
  });
  afterAll(() => server.stop());

  const create = (email: string, invitation?: string) =>
    post(server, 'account/create?keys=true', { ...credentials(email), invitation });

  it('gives the operator one invitation, for any address, until somebody is in', async () => {
    const invitation = await invitations.firstBoot();
    expect(await invitations.firstBoot()).toBeUndefined();
    const operator = await signUp(server, { email: anAddress(), invitation: invitation ?? '' });
    expect(operator.kB).toHaveLength(32);
    expect(await invitations.firstBoot()).toBeUndefined();
  });

  it('refuses who has none', async () => {
    expect((await create(anAddress()).expect(403)).body.errno).toBe(202);
  });

  it('verifies the address it was issued for, without mail, whatever the spelling', async () => {
    const email = anAddress();
    const invitation = await invitations.invite(email.toUpperCase());
    const { body } = await create(email, invitation).expect(200);
    expect(body.verified).toBe(true);
    await expect(mails(server)).rejects.toThrow('ENOENT');
  });

  it('refuses another address, an invented one, and one that is a week old', async () => {
    const email = anAddress();
    const invitation = await invitations.invite(email);
    const refused = async (to: string, which: string) => {
      expect((await create(to, which).expect(400)).body.errno).toBe(105);
    };
    await refused(anAddress(), invitation);
    await refused(email, randomBytes(16).toString('base64url'));
    server.clock.advance(7 * 86_400 + 1);
    await refused(email, invitation);
  });

  it('is good once, also when several use it at once', async () => {
    const email = anAddress();
    const invitation = await invitations.invite(email);
    const all = await Promise.all(Array.from({ length: 4 }, () => create(email, invitation)));
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await create(email, invitation).expect(400)).body.errno).toBe(105);
  });

  it('does not invite what is no address, and keeps invitations hashed', async () => {
    await expect(invitations.invite('nobody')).rejects.toThrow('not an e-mail address');
    const invitation = await invitations.invite(anAddress());
    const rows = await server.db.query(`SELECT t::text FROM invitation t`);
    expect(JSON.stringify(rows)).not.toContain(invitation);
  });
});

it('lets nobody in where sign-up is closed', async () => {
  const server = await TestServer.start({ SIGN_UP: 'closed' });
  const email = anAddress();
  const invitations = server.app.get(InvitationsService);
  expect(await invitations.firstBoot()).toBeUndefined();
  const invitation = await invitations.invite(email);
  const answer = await post(server, 'account/create', { ...credentials(email), invitation });
  expect(answer.status).toBe(403);
  expect(answer.body.errno).toBe(202);
  await server.stop();
});

describe('where sign-up is for a list', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start({
      SIGN_UP: 'allow-list',
      SIGN_UP_ALLOWED: 'Alice@example.org, @friends.example ,@bücher.example',
    });
  });
  afterAll(() => server.stop());

  const create = (email: string, invitation?: string) =>
    post(server, 'account/create', { ...credentials(email), invitation });

  it.each([
    'alice@Example.org',
    'bob@friends.example',
    'eve@BÜCHER.example',
    'e@xn--bcher-kva.example',
  ])('lets %s in, who still has to verify the address', async (email) => {
    const { body } = await create(email).expect(200);
    expect(body.verified).toBe(false);
  });

  it.each([
    'bob@example.org',
    'bob@sub.friends.example',
    'bob@notfriends.example',
    'friends.example@example.net',
    'alice@example.org.example.net',
  ])('refuses %s', async (email) => {
    expect((await create(email).expect(403)).body.errno).toBe(202);
  });

  it('lets in who was invited', async () => {
    const email = anAddress();
    const invitation = await server.app.get(InvitationsService).invite(email);
    expect((await create(email, invitation).expect(200)).body.verified).toBe(true);
  });

  it('needs the list', () => {
    expect(() => Config.from({ SIGN_UP: 'allow-list' })).toThrow('SIGN_UP_ALLOWED');
    const malformed = { SIGN_UP: 'allow-list', SIGN_UP_ALLOWED: 'example.org' };
    expect(() => Config.from(malformed)).toThrow('SIGN_UP_ALLOWED');
  });
});
