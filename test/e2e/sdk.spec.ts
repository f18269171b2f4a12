import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, request, type RequestListener } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type App,
  type DevicePrompt,
  FileAppStore,
  locked,
  Lockstep,
  type LockstepOptions,
  MemoryAppStore,
  signInByLoopback,
  Storage,
} from '#lib/client-node';
import { type Account, passPage, signUp } from '../support/account.ts';
import { answerDevice } from '../support/device.ts';
import { TestServer } from '../support/test-server.ts';
import { Liar } from '../hostile/liar.ts';

const REDIRECT_URI = 'http://127.0.0.1:42427/callback';

let server: TestServer;
let alice: Account;
let folder: string;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  folder = await mkdtemp(join(tmpdir(), 'lockstep-sdk-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
  await server.stop();
});

/** An app as its developer sets it up. */
const lockstep = (more: Partial<LockstepOptions> = {}) =>
  new Lockstep({
    server: server.url,
    clientId: 'demo-app',
    scopes: ['storage', 'profile'],
    now: () => Date.now(),
    ...more,
  });

/** As the account's page does: lets the app in, and returns where the browser is sent. */
const letIn = async (url: string) => (await passPage(server, alice, new URL(url))).href;
const signIn = async (app: Lockstep) => {
  const back = await letIn(await app.startRedirect(REDIRECT_URI));
  return (await app.finishRedirect(back)) as App;
};

describe('An app of somebody else', () => {
  it('signs in by redirect, and has its key and its store', async () => {
    const app = await signIn(lockstep());
    expect(app.uid).toBe(alice.uid);
    const storage = new Storage(app);
    await storage.put('notes', 'first', { text: 'hello' });
    expect(await storage.get('notes', 'first')).toMatchObject({ value: { text: 'hello' } });
  });

  it('goes away for the answer, and takes the sign-in up again afterwards', async () => {
    const values = new Map<string, string>();
    const session = {
      getItem: (name: string) => values.get(name) ?? null,
      setItem: (name: string, value: string) => values.set(name, value),
      removeItem: (name: string) => values.delete(name),
    };
    const store = new MemoryAppStore();
    const [before, after] = [lockstep({ session, store }), lockstep({ session, store })];
    expect(await before.app()).toBeUndefined();
    const back = await letIn(await before.startRedirect(REDIRECT_URI));
    expect(after.expects(back)).toBe(true);
    const app = (await after.finishRedirect(back)) as App;
    expect([values.size, (await lockstep({ store }).app())?.kBr]).toEqual([0, app.kBr]);
    expect(await after.finishRedirect(REDIRECT_URI)).toBeUndefined();
  });

  it('needs no key, and has none then', async () => {
    const app = await signIn(lockstep({ wantsKey: false }));
    expect(() => app.kBr).toThrow('did not ask for its key');
    expect(app.export()).not.toHaveProperty('kBr');
  });

  it('keeps the sign-in in a file of its owner alone, and signs out', async () => {
    const store = new FileAppStore(join(folder, 'own', 'app.json'));
    const { kBr } = await signIn(lockstep({ store }));
    expect((await stat(store.path)).mode & 0o777).toBe(0o600);
    expect(await lockstep({ store, clientId: 'another-app' }).app()).toBeUndefined();
    const again = await lockstep({ store }).app();
    expect(again?.kBr).toEqual(kBr);
    expect(await again?.tokens.for('storage')).toEqual(expect.any(String));
    await lockstep({ store }).signOut();
    await expect(stat(store.path)).rejects.toThrow('ENOENT');
    await expect(again?.tokens.for('files')).rejects.toMatchObject({ code: 'signed-out' });
  });

  it('is told when the person refuses', async () => {
    const app = lockstep();
    const url = new URL(await app.startRedirect(REDIRECT_URI));
    const query = new URLSearchParams({
      ...{ error: 'access_denied', state: url.searchParams.get('state') ?? '', iss: server.url },
    });
    const back = `${REDIRECT_URI}?${query.toString()}`;
    await expect(app.finishRedirect(back)).rejects.toMatchObject({ code: 'access_denied' });
  });
});

/** A server of somebody else. */
async function listen(answer: RequestListener) {
  const listener = createServer(answer).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  return {
    url,
    close: () => {
      listener.closeAllConnections();
      listener.close();
    },
  };
}

/** What a request is answered with that names its target as it is told. */
async function statusOf(origin: string, path: string): Promise<number> {
  const asked = request(origin, { path, method: 'GET' }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode ?? 0;
}

describe('A native app', () => {
  it('is come back to on a port of this computer, whatever else is asked there', async () => {
    const seen: number[] = [];
    const app = await signInByLoopback(lockstep(), async (url) => {
      const { origin } = new URL(new URL(url).searchParams.get('redirect_uri') ?? '');
      for (const path of ['/', '/callback?code=x&state=y', '/callback']) {
        seen.push((await fetch(origin + path)).status);
      }
      // It listens at one address, and not at all that the computer has.
      const elsewhere = connect(Number(new URL(origin).port), '::1');
      await expect(once(elsewhere, 'connect')).rejects.toThrow();
      // What is no address: of another program, as no browser would ask for it.
      for (const target of ['*', 'http://evil.example/callback', '//[']) {
        seen.push(await statusOf(origin, target));
      }
      const page = await fetch(await letIn(url));
      seen.push(page.status);
      expect(await page.text()).toContain('can be closed');
      expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    });
    expect([app.uid, seen]).toEqual([alice.uid, [404, 404, 404, 404, 404, 404, 200]]);
  });

  it('is not held up by who connects and says nothing, or not all', async () => {
    const held: Socket[] = [];
    await signInByLoopback(lockstep(), async (url) => {
      const { port } = new URL(new URL(url).searchParams.get('redirect_uri') ?? '');
      for (const said of [
        '',
        'GET / HTTP/1.1\r\n',
        'POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n',
      ]) {
        const socket = connect(Number(port), '127.0.0.1');
        await once(socket, 'connect');
        socket.write(said);
        held.push(socket.resume());
      }
      await fetch(await letIn(url));
    });
    // The program would not end before they do.
    for (const socket of held) if (!socket.closed) await once(socket, 'close');
  });

  it('waits no longer than it is told to', async () => {
    const stop = new AbortController();
    const waiting = signInByLoopback(
      lockstep(),
      () => {
        stop.abort();
      },
      stop,
    );
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
  });
});

describe('fetch with a token', () => {
  it('carries a token that is bound to the app’s key, and refreshes it once when it is refused', async () => {
    const store = new MemoryAppStore();
    const scopes = ['files'];
    await signIn(lockstep({ store, scopes }));
    const pair = (await store.get('dpop')) as CryptoKeyPair;
    expect(pair.privateKey.extractable).toBe(false);
    const sent: Request[] = [];
    const watch: typeof fetch = (input, init) => {
      sent.push(new Request(input, init));
      return fetch(input, init);
    };
    const app = (await lockstep({ store, fetch: watch }).app()) as App;
    const ask = app.fetchFor('files');
    const url = `${server.url}/files/v1/${app.uid}/usage`;
    expect((await ask(url)).status).toBe(200);
    await server.db.query(
      `DELETE FROM oidc WHERE model = 'AccessToken' AND payload->>'aud' LIKE '%files'`,
    );
    sent.length = 0;
    expect((await ask(url)).status).toBe(200);
    expect(sent.map(({ url }) => new URL(url).pathname)).toEqual([
      ...[new URL(url).pathname, '/oauth2/token', new URL(url).pathname],
    ]);
    const proofs = sent.map(({ headers }) => headers.get('dpop'));
    expect(new Set(proofs).size).toBe(3);
    expect(sent[0]?.headers.get('authorization')).toMatch(/^DPoP /);
    const stolen = sent[2]?.headers.get('authorization')?.slice(5) ?? '';
    const alone = await fetch(url, { headers: { authorization: `Bearer ${stolen}` } });
    expect(alone.status).toBe(401);
    for (const { url } of sent) expect(url).not.toContain(stolen);
  });

  it('goes to no other address', async () => {
    const app = await signIn(lockstep());
    for (const url of ['https://evil.example/', 'http://localhost.evil.example/']) {
      const asked = app.fetchFor('storage')(url);
      await expect(asked).rejects.toMatchObject({ code: 'foreign-address' });
    }
    expect(() => app.fetchFor('urn:example:api')).toThrow('must be said');
  });

  it.each([
    [true, '//127.0.0.1:'],
    [false, '//127.0.0.1:'],
    [false, '//localhost:'],
  ])('follows nobody to another address (bound: %p, from %s)', async (dpop, place) => {
    const heard: IncomingMessage[] = [];
    const elsewhere = await listen((request, response) => {
      heard.push(request);
      response.end();
    });
    const api = await listen((_, response) => {
      response.writeHead(307, { location: elsewhere.url.replace('//127.0.0.1:', place) }).end();
    });
    const app = await signIn(lockstep({ dpop }));
    const asked = app.tokens.fetchFor('storage', api.url)(api.url, { method: 'PUT', body: 'x' });
    await expect(asked).rejects.toThrow();
    expect(heard).toEqual([]);
    // Who wants to know where to is told.
    const ask = app.tokens.fetchFor('storage', api.url);
    expect((await ask(api.url, { redirect: 'manual' })).status).toBe(307);
    api.close();
    elsewhere.close();
  });

  it('takes no token that is good without the key', async () => {
    const liar = new Liar();
    const app = lockstep({ fetch: liar.fetch });
    const back = await letIn(await app.startRedirect(REDIRECT_URI));
    liar.alter('POST', /\/token$/, (answer) => ({ ...answer, token_type: 'Bearer' }));
    await expect(app.finishRedirect(back)).rejects.toMatchObject({ code: 'TOKEN_NOT_BOUND' });
  });
});

describe('What others try', () => {
  it('an answer is good once', async () => {
    const app = lockstep();
    const back = await letIn(await app.startRedirect(REDIRECT_URI));
    await app.finishRedirect(back);
    await expect(app.finishRedirect(back)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
  });

  it('an answer that nobody began with is refused, and one of another server', async () => {
    const app = lockstep();
    const back = new URL(await letIn(await app.startRedirect(REDIRECT_URI)));
    const foreign = new URL(back);
    foreign.searchParams.set('state', 'AAAAAAAAAAAAAAAAAAAAAA');
    const refused = app.finishRedirect(foreign.href);
    await expect(refused).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
    back.searchParams.set('iss', 'https://another.example');
    const mixedUp = app.finishRedirect(back.href);
    await expect(mixedUp).rejects.toMatchObject({ code: 'ISSUER_MISMATCH' });
  });

  it('a code that was put into another sign-in is not redeemed: PKCE', async () => {
    const [victim, own] = [lockstep(), lockstep()];
    const stolen = new URL(await letIn(await victim.startRedirect(REDIRECT_URI)));
    const began = new URL(await own.startRedirect(REDIRECT_URI));
    stolen.searchParams.set('state', began.searchParams.get('state') ?? '');
    const injected = own.finishRedirect(stolen.href);
    await expect(injected).rejects.toMatchObject({ code: 'invalid_grant' });
  });

  it('two that have one store burn no refresh token', async () => {
    const path = join(folder, 'two.json');
    const both = [new FileAppStore(path), new FileAppStore(path)];
    const scopes = ['storage', 'files', 'keys:read'];
    await signIn(lockstep({ store: both[0], scopes }));
    const apps = await Promise.all(
      both.map(async (store) => (await lockstep({ store, scopes }).app()) as App),
    );
    const tokens = await Promise.all(
      apps.flatMap(({ tokens }) => [tokens.for('files'), tokens.for('keys')]),
    );
    expect(new Set(tokens).size).toBe(2); // the second took what the first got
    const kept = await readFile(path, 'utf8');
    for (const token of tokens) expect(kept).toContain(token);
    // Neither ended the other's sign-in.
    for (const app of apps) {
      app.tokens.drop('files', tokens[0] ?? '');
      expect(await app.tokens.for('files')).toEqual(expect.any(String));
    }
  });
});

describe('The lock beside the file of a sign-in', () => {
  it.each([
    ['a process that is gone', '999999999', 0],
    [
      'one that had the number of this one, as the first of each container has',
      String(process.pid),
      0,
    ],
    ['one on another computer, or in another container, that is silent for long', '1@x', 121],
    ['one that was broken off before it said which', '', 122],
  ])('is void of %s', async (_, holder, age) => {
    const path = join(folder, 'void.json');
    const lock = `${path}.lock`;
    await writeFile(lock, holder);
    const at = Date.now() / 1000 - age;
    await utimes(lock, at, at);
    expect(await locked(path, () => Promise.resolve('ran'))).toBe('ran');
    await expect(stat(lock)).rejects.toThrow('ENOENT');
  });

  it('is not void of a process of another container, whose number nobody has here', async () => {
    const path = join(folder, 'elsewhere.json');
    await writeFile(`${path}.lock`, '999999999@elsewhere');
    const seen: string[] = [];
    const running = locked(path, () => Promise.resolve(seen.push('ran')));
    for (let i = 0; i < 1000; i++) await stat(`${path}.lock`);
    seen.push('gone');
    await rm(`${path}.lock`);
    await running;
    expect(seen).toEqual(['gone', 'ran']);
  });

  it('is held against others of this process, too', async () => {
    const path = join(folder, 'own.json');
    const seen: string[] = [];
    const turn = (name: string) =>
      locked(path, async () => {
        seen.push(`${name} begins`);
        for (let i = 0; i < 1000; i++) await stat(`${path}.lock`);
        seen.push(`${name} ends`);
      });
    await Promise.all([turn('a'), turn('b')]);
    expect(seen.map((what) => what.slice(2))).toEqual(['begins', 'ends', 'begins', 'ends']);
  });
});

describe('A program without a browser', () => {
  /** Nobody waits: the server's clock is moved instead. */
  const sleep = (ms: number) => {
    server.clock.advance(ms / 1000);
    return Promise.resolve();
  };
  const answer = (consent: boolean) => async (prompt: DevicePrompt) => {
    const answered = { account: alice, userCode: prompt.userCode, consent };
    expect((await answerDevice(server, answered)).status).toBe(200);
  };

  it('is let in elsewhere, and has its key', async () => {
    const seen: string[] = [];
    const watch: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (response.url.endsWith('/token')) {
        const { error } = (await response.clone().json()) as { error?: string };
        seen.push(error ?? 'tokens');
        // The person takes a while.
        if (seen.length === 2) await answer(true)(shown as DevicePrompt);
      }
      return response;
    };
    let shown: DevicePrompt | undefined;
    const app = await lockstep({ sleep, fetch: watch }).signInOnDevice((prompt) => {
      shown = prompt;
    });
    expect(shown).toMatchObject({ verificationUri: `${server.url}/device` });
    expect(seen).toEqual(['authorization_pending', 'authorization_pending', 'tokens']);
    expect([app.uid, app.email]).toEqual([alice.uid, alice.email]);
    expect(app.kBr).toEqual((await signIn(lockstep())).kBr);
    expect(await app.tokens.for('storage')).toEqual(expect.any(String));
  });

  it('is told when the person refuses', async () => {
    let answered: Promise<void> | undefined;
    const refused = lockstep({ sleep: () => answered ?? Promise.resolve() }).signInOnDevice(
      (prompt) => {
        answered = answer(false)(prompt);
      },
    );
    await expect(refused).rejects.toMatchObject({ code: 'access_denied' });
  });

  it('asks more slowly when it is told to, or the server is away', async () => {
    const waits: number[] = [];
    const liar = new Liar();
    const stop = new AbortController();
    const app = lockstep({
      fetch: liar.fetch,
      sleep: (ms) => {
        waits.push(ms / 1000);
        if (waits.length === 2) {
          liar.answer('POST', /\/token$/, () => ({ error: 'x' }), { status: 502 });
        }
        if (waits.length === 4) stop.abort();
        return Promise.resolve();
      },
    });
    const waiting = app.signInOnDevice(() => {
      liar.answer('POST', /\/token$/, () => ({ error: 'slow_down' }), { status: 400 });
    }, stop);
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    expect(waits).toEqual([10, 15, 30, 60]);
  });

  it('sends nobody to another server', async () => {
    const liar = new Liar();
    liar.alter('POST', /\/device_authorization$/, (told) => ({
      ...told,
      verification_uri_complete: 'https://evil.example/device',
    }));
    const waiting = lockstep({ fetch: liar.fetch }).signInOnDevice(() => undefined);
    await expect(waiting).rejects.toMatchObject({ code: 'ISSUER_MISMATCH' });
  });

  it.each([
    ['verification_uri', (told: string) => `${told}\u001b]0;x\u0007\u202e`],
    ['verification_uri_complete', (told: string) => `${told}&\u001b[2J`],
    ['verification_uri', (told: string) => `${told}\nOpen https://evil.example/`],
    ['user_code', () => '\u001b[2JAAAA-AAAA'],
    ['user_code', () => 'AAAA-AAAA at https://evil.example/'],
  ])('shows nothing that a terminal obeys in %s', async (name, spoil) => {
    const liar = new Liar();
    liar.alter('POST', /\/device_authorization$/, (told: Record<string, string>) => ({
      ...told,
      [name]: spoil(told[name] ?? ''),
    }));
    const stop = new AbortController();
    let shown = '';
    const app = lockstep({ fetch: liar.fetch, sleep });
    const waiting = app.signInOnDevice((prompt) => {
      shown = Object.values(prompt).join(' ');
      stop.abort();
    }, stop);
    await expect(waiting).rejects.toThrow();
    expect(shown).toMatch(/^[ -~]*$/);
    expect(shown).not.toContain(' https://evil');
  });

  it('is told when nobody comes', async () => {
    const waiting = lockstep({ sleep }).signInOnDevice(() => undefined);
    await expect(waiting).rejects.toMatchObject({ code: 'expired_token' });
  });
});
