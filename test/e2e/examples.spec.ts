import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import type { App } from '#lib/protocol';
import { type Account, authorize, exchange, signUp } from '../support/account.ts';
import { CommandLine, runProgram } from '../support/built-program.ts';
import { lettingIn } from '../support/device.ts';
import { freePort, TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

let server: TestServer;
let alice: Account;
let app: App;
let home: string;
const apis = new Map<string, string>();
const programs: ChildProcess[] = [];
const CALLBACK = 'http://127.0.0.1/callback';

/** Runs one of the examples, and resolves when it has said something that fits. */
async function start(path: string, environment: Record<string, string>, ready: string) {
  const env = { PATH: process.env.PATH, XDG_CONFIG_HOME: home, ...environment };
  const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  programs.push(child);
  await new Promise<void>((done) => {
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes(ready)) done();
    });
  });
}

beforeAll(async () => {
  // What `npm run build` and `npm start` make of the libraries.
  for (const library of ['client', 'client-node']) {
    const vite = ['node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn'];
    execFileSync(process.execPath, [...vite, `libs/${library}`], { stdio: 'inherit' });
  }
  server = await TestServer.start();
  alice = await signUp(server);
  home = await mkdtemp(join(tmpdir(), 'lockstep-examples-'));
  for (const name of ['fastify', 'express']) {
    const audience = `http://127.0.0.1:${await freePort()}/api`;
    apis.set(name, audience);
    const environment = { ISSUER: server.url, AUDIENCE: audience };
    await start(`examples/${name}-api/server.mjs`, environment, 'listening');
  }
  // As examples/README.md says it.
  const database = new URL(process.env.TEST_DATABASE_URL ?? '');
  database.searchParams.set('options', `-c search_path=${server.schema}`);
  const operator = new CommandLine(home, {
    ...{ DATABASE_URL: database.href, PUBLIC_URL: server.config.publicUrl.href },
  });
  app = await operator.json<App>(
    'apps',
    'register',
    ...[
      ...['--name', 'Example', '--type', 'native', '--device'],
      ...['--redirect-uri', 'http://127.0.0.1/', '--redirect-uri', CALLBACK],
      ...['--scope', 'openid profile offline_access app_key storage'],
      ...[...apis.values()].flatMap((address) => ['--resource', address]),
    ],
  );
});
afterAll(async () => {
  for (const program of programs) program.kill();
  await rm(home, { recursive: true });
  await server.stop();
});

it('docs/sdk.md shows nothing but what the examples run', async () => {
  const run = await Promise.all(
    ['cli/notes.mjs', 'web-page/notes.js'].map((path) => readFile(`examples/${path}`, 'utf8')),
  );
  const shown = [...(await readFile('docs/sdk.md', 'utf8')).matchAll(/```js\n(.*?)```/gs)];
  expect(shown.length).toBeGreaterThan(5);
  for (const [, code = ''] of shown)
    expect(run.filter((text) => text.includes(code))).not.toEqual([]);
});

describe.each(['fastify', 'express'])('examples/%s-api', (name) => {
  const ask = (authorization?: string, more: Record<string, string> = {}) =>
    fetch(`${apis.get(name)}/me`, {
      headers: { ...(authorization && { authorization }), ...more },
    });
  const tokenFor = async (scope: string, resource = apis.get(name)) => {
    const asked = { clientId: app.client_id, redirectUri: CALLBACK, scope, resource };
    return (await exchange(server, await authorize(server, alice, asked), resource)).body
      .access_token as string;
  };

  it('lets in who has a token for it, with the scope', async () => {
    const answer = await ask(`Bearer ${await tokenFor('openid profile')}`);
    expect([answer.status, await answer.json()]).toEqual([200, { user: alice.uid }]);
  });

  it('says why it lets others not in', async () => {
    const refused = async (authorization?: string) => {
      const { status, headers } = await ask(authorization);
      return [status, headers.get('www-authenticate')];
    };
    expect(await refused()).toEqual([401, 'Bearer']);
    const invalid = [401, 'Bearer error="invalid_token"'];
    expect(await refused('Bearer nonsense')).toEqual(invalid);
    const token = await tokenFor('openid profile');
    const [head, , seal] = token.split('.');
    const forged = Buffer.from(JSON.stringify({ sub: 'mallory' })).toString('base64url');
    expect(await refused(`Bearer ${head}.${forged}.${seal}`)).toEqual(invalid);
    const unsigned = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
    expect(await refused(`Bearer ${unsigned}.${token.split('.')[1]}.`)).toEqual(invalid);
    const [other] = [...apis].filter(([known]) => known !== name).map(([, address]) => address);
    const elsewhere = await tokenFor('openid profile', other);
    expect(await refused(`Bearer ${elsewhere}`)).toEqual(invalid);
    expect(await refused(`Bearer ${await tokenFor('openid')}`)).toEqual([
      403,
      'Bearer error="insufficient_scope", scope="profile"',
    ]);
  });
});

describe('examples/cli', () => {
  /** Runs it; when it asks, Alice lets it in. */
  const notes = (parameters: readonly string[], environment: Record<string, string> = {}) =>
    runProgram(
      'examples/cli/notes.mjs',
      parameters,
      {
        ...{ XDG_CONFIG_HOME: home, LOCKSTEP_URL: server.url },
        ...{ CLIENT_ID: app.client_id, ...environment },
      },
      lettingIn(server, alice),
    );

  it('is let in once, keeps notes, and asks both APIs with a token bound to its key', async () => {
    for (const [name, address] of apis) {
      const { stdout, stderr } = await notes(['add', name], { API: address });
      expect(stderr).toContain('It shows the code');
      expect(stdout).toContain(`${name}\nthe API says 200 {"user":"${alice.uid}"}`);
      const again = await notes(['list'], { API: address });
      expect(again).toMatchObject({ stderr: '', stdout: expect.stringContaining(name) });
      const kept = join(home, 'lockstep-notes', 'sign-in.json');
      const { dpop } = JSON.parse(await readFile(kept, 'utf8'));
      expect(dpop.privateJwk.crv).toBe('P-256');
      await notes(['sign-out']);
      await expect(stat(kept)).rejects.toThrow('ENOENT');
    }
  });

  it('says in words that the sign-in has ended, and begins anew the next time', async () => {
    await notes(['list']);
    await server.db.query(`DELETE FROM oidc WHERE payload->>'accountId' = $1`, [alice.uid]);
    const { stdout, stderr } = await notes(['list']);
    expect([stdout, stderr]).toEqual([
      '',
      'notes: The sign-in has ended on the server: sign in again. (invalid_grant)\n',
    ]);
    expect((await notes(['list'])).stderr).toContain('It shows the code');
    await notes(['sign-out']);
  });

  it.each([[[]], [['lsit']], [['add']]])('says how it is used: %j', async (parameters) => {
    const said = await notes(parameters);
    const usage = expect.stringMatching(/^usage: node notes.mjs/);
    expect(said).toEqual({ code: 2, stdout: '', stderr: usage });
  });
});

describeWeb('examples/web-page', () => {
  let browser: Browser;
  let site: HttpServer;
  let address: string;
  beforeAll(async () => {
    browser = await launchChromium();
    const port = await freePort();
    const settings = `export const server = '${server.url}'; export const clientId = '${app.client_id}';`;
    // Any web server does that gives out files.
    site = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '/', address);
      const name = pathname === '/' ? 'index.html' : pathname.slice(1);
      const type = name.endsWith('.html') ? 'text/html' : 'text/javascript';
      const folder = name === 'lockstep.js' ? 'dist/sdk' : 'examples/web-page';
      const text =
        name === 'settings.js' ? Promise.resolve(settings) : readFile(`${folder}/${name}`);
      void text.then(
        (bytes) => response.writeHead(200, { 'content-type': type }).end(bytes),
        () => response.writeHead(404).end(),
      );
    });
    await new Promise<void>((done) => site.listen(port, '127.0.0.1', done));
    address = `http://127.0.0.1:${port}/`;
  });
  afterAll(async () => {
    await browser.close();
    site.close();
  });

  /** Somebody who signed in and let the page in. */
  const letIn = async ({ email, password }: Account): Promise<Visitor> => {
    const visitor = await Visitor.at(server, browser);
    const { page } = visitor;
    await page.goto(address);
    await page.click('#sign-in');
    await visitor.sees('enter');
    await visitor.submits({ email, password }, '#signin');
    await visitor.sees('consent');
    await page.click('#allow');
    await page.waitForSelector('#add:not([hidden])');
    return visitor;
  };

  it('signs in, keeps a note, stays signed in in two tabs that burn no token, and signs out', async () => {
    const bob = await signUp(server);
    const visitor = await letIn(bob);
    const { page, context } = visitor;
    expect(page.url()).toBe(address); // no code stays in the address
    expect(await page.innerText('#who')).toBe(`Signed in as ${bob.email}`);
    await visitor.submits({ text: 'buy milk' }, '#add button');
    await page.waitForSelector('#notes li');
    // The key that the tokens are bound to cannot be read out, and both tabs have it.
    const keys = await page.evaluate(async () => {
      const open = indexedDB.open('lockstep:notes');
      await new Promise((done) => (open.onsuccess = done));
      const get = open.result.transaction('kept').objectStore('kept').get('dpop');
      await new Promise((done) => (get.onsuccess = done));
      const { privateKey } = get.result as CryptoKeyPair;
      return crypto.subtle
        .exportKey('jwk', privateKey)
        .catch((error: unknown) => (error as Error).name);
    });
    expect(keys).toBe('InvalidAccessError');
    // No access token holds any more: each tab wants another at the same moment.
    await server.db.query(`DELETE FROM oidc WHERE model = 'AccessToken'`);
    const second = await context.newPage();
    await Promise.all([page.reload(), second.goto(address)]);
    for (const tab of [page, second]) {
      await tab.waitForSelector('#notes li');
      expect(await tab.innerText('#notes')).toContain('buy milk');
    }
    for (const text of visitor.sent) {
      expect(text.split('\n')[0]).not.toMatch(/access_token|refresh_token|code_verifier/);
    }
    await second.click('#sign-out');
    await second.waitForSelector('#sign-in:not([hidden])');
    await page.reload();
    await page.waitForSelector('#sign-in:not([hidden])');
    expect(visitor.complaints).toEqual([]);
    await context.close();
  });

  it('begins anew when the sign-in was ended elsewhere, and says what went wrong', async () => {
    const carol = await signUp(server);
    const visitor = await letIn(carol);
    const { page, context } = visitor;
    await context.setOffline(true);
    await visitor.submits({ text: 'buy bread' }, '#add button');
    await page.waitForSelector('#trouble:not(:empty)');
    expect(await page.innerText('#trouble')).toContain('(network)');
    await context.setOffline(false);
    await server.db.query(`DELETE FROM oidc WHERE payload->>'accountId' = $1`, [carol.uid]);
    await page.reload();
    await page.waitForSelector('#sign-in:not([hidden])');
    expect(await page.innerText('#who')).toBe('Nobody is signed in.');
    await context.close();
  });
});
