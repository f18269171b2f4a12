import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Pin, PinKey } from '#lib/client';
import { locked } from '#lib/client-node';
import { type Credentials, CredentialsFile } from '../../apps/cli/src/credentials.ts';
import { meet } from '../../apps/cli/src/device.ts';
import { FilePinStore } from '../../apps/cli/src/file-pin-store.ts';
import { refusal } from './people.ts';

const REALMS = ['AAAAAAAAAAAAAAAAAAAAAA', 'BBBBBBBBBBBBBBBBBBBBBA'] as const;

describe('what the command line remembers', () => {
  let home: string;
  let lying: HttpServer;
  let realm: string = REALMS[0];
  let url: string;

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'lockstep-memory-'));
    process.env['XDG_CONFIG_HOME'] = home;
    lying = createServer((_, response) => {
      response.end(JSON.stringify({ name: 'lockstep', version: '1', realm }));
    });
    await new Promise<void>((done) => lying.listen(0, '127.0.0.1', done));
    url = `http://127.0.0.1:${(lying.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    lying.close();
    lying.closeAllConnections();
    await rm(home, { recursive: true });
  });

  const key = (uid: string): PinKey => ({ realm: REALMS[0], uid, clientId: 'demo-app' });
  const pin = (x: string): Pin => ({
    identity: { kty: 'OKP', crv: 'Ed25519', x },
    ...{ version: 1, list: 'hash' },
  });

  it('tells a server that has another realm than at first contact', async () => {
    await meet({ url, profile: 'alice' });
    await meet({ url, profile: 'alice' });
    [, realm] = REALMS;
    await expect(meet({ url, profile: 'alice' })).rejects.toMatchObject(refusal('REALM_CHANGED'));
    // Another spelling of the address is the same server.
    const spelled = `${url.toUpperCase()}/`;
    await expect(meet({ url: spelled, profile: 'alice' })).rejects.toMatchObject(
      refusal('REALM_CHANGED'),
    );
  });

  it('lets one of two first contacts at once decide which realm a server has', async () => {
    const store = () => new FilePinStore('bob');
    const both = await Promise.all(REALMS.map((name) => store().isSameRealm(url, name)));
    expect(both.filter(Boolean)).toHaveLength(1);
  });

  it('keeps every pin when several commands pin at once, and shows each what stands', async () => {
    const uids = Array.from({ length: 8 }, (_, i) => String(i));
    await Promise.all(
      uids.map((uid) => new FilePinStore('carol').update(key(uid), () => pin(uid))),
    );
    for (const uid of uids) {
      expect(await new FilePinStore('carol').get(key(uid))).toEqual(pin(uid));
    }
    const refuse = (known: Pin | undefined): Pin => {
      expect(known).toEqual(pin('0'));
      throw new TypeError('No.');
    };
    await expect(new FilePinStore('carol').update(key('0'), refuse)).rejects.toThrow('No.');
    expect(await new FilePinStore('carol').get(key('0'))).toEqual(pin('0'));
  });

  const signIn = (sessionToken: string): Credentials => ({
    ...{ email: 'dora@example.org', sessionToken },
    app: {
      ...{ server: url, realm: REALMS[0], uid: '0', clientId: 'demo-app' },
      kBr: { kid: '1-a', k: 'a' },
      tokens: { refreshToken: `of ${sessionToken}`, access: {} },
    },
  });

  it('is not brought back by a command that was refreshing when its profile was signed out', async () => {
    const file = new CredentialsFile('dora');
    await file.write(signIn('first'));
    const refreshing = new CredentialsFile('dora');
    await refreshing.read();
    let begun: () => void = () => undefined;
    const isBegun = new Promise<void>((done) => (begun = done));
    const refresh = refreshing.update(async (tokens) => {
      begun();
      await pause(30);
      return tokens;
    });
    await isBegun;
    await file.forget();
    await refresh;
    await expect(file.read()).rejects.toMatchObject({ name: 'Refused' });
  });

  it('gives a command no tokens of somebody who signed in meanwhile', async () => {
    await new CredentialsFile('dora').write(signIn('first'));
    const old = new CredentialsFile('dora');
    await old.read();
    await new CredentialsFile('dora').write(signIn('second'));
    const seen: string[] = [];
    const refresh = old.update((tokens) => {
      seen.push(tokens.refreshToken);
      return Promise.resolve(tokens);
    });
    await expect(refresh).rejects.toMatchObject({ name: 'Refused' });
    expect(seen).toEqual([]);
    expect((await new CredentialsFile('dora').read()).sessionToken).toBe('second');
  });

  it('is readable by its owner alone, and leaves nothing beside it', async () => {
    const folder = join(home, 'lockstep', 'carol');
    expect(await readdir(folder)).toEqual(['pins.json']);
    expect((await stat(join(folder, 'pins.json'))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it('is changed by one process at a time, also where one left its lock behind', async () => {
    const path = join(home, 'contested');
    let inside = 0;
    let most = 0;
    const enter = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await pause(5);
      inside -= 1;
    };
    const rounds = Array.from({ length: 20 }, async (_, round) => {
      await writeFile(`${path}-${round}.lock`, '999999999');
    });
    await Promise.all(rounds);
    for (const round of rounds.keys()) {
      await Promise.all(Array.from({ length: 4 }, () => locked(`${path}-${round}`, enter)));
    }
    expect(most).toBe(1);
    expect((await readdir(home)).filter((name) => name.startsWith('contested'))).toEqual([]);
  });
});
