import { once } from 'node:events';
import { connect } from 'node:net';
import { Logger } from '@nestjs/common';
import { type Envelope, introduced, refusal, RelayEnd } from '../support/relay.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ TRUSTED_PROXIES: '127.0.0.0/8,::1' });
});
afterAll(() => server.stop());

/** A server with limits of its own, for one test. */
async function withServer(
  environment: Record<string, string>,
  work: (server: TestServer) => Promise<void>,
): Promise<void> {
  const own = await TestServer.start({ PAIRING_PING_SECONDS: '1', ...environment });
  try {
    await work(own);
  } finally {
    await own.stop();
  }
}

/** An HTTP request as it is written, and all that comes back until the other side hangs up. */
async function raw(text: string): Promise<string> {
  const socket = connect(server.config.port, server.config.host);
  let heard = '';
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()));
  socket.write(text);
  await once(socket, 'end');
  socket.end();
  return heard;
}

describe('the relay', () => {
  it('tells whoever opens a channel where it is, and whoever joins it as well', async () => {
    const authority = await RelayEnd.connect(server.url);
    const first = (await authority.next()) as { link: string; channelid: string };
    expect(first.channelid).toMatch(/^[\w-]{22}$/);
    expect(first).toEqual({ link: `/v1/ws/${first.channelid}`, channelid: first.channelid });
    const supplicant = await RelayEnd.connect(server.url, first.link);
    expect(await supplicant.next()).toEqual(first);
  });

  it('carries text both ways, as it is, and says who sent it', async () => {
    const headers = { 'user-agent': 'Zoë’s phone', 'x-forwarded-for': '203.0.113.9' };
    const { authority, supplicant } = await introduced(server.url, { headers: encoded(headers) });
    const texts = ['FgMDAAA=', '', 'ünïcödé \u0000 "\\', 'x'.repeat(32_768)];
    for (const text of texts) {
      supplicant.send(text);
      const { message, sender } = (await authority.next()) as Envelope;
      expect(message).toBe(text);
      expect(sender).toEqual({
        ua: encoded(headers)['user-agent'],
        ...{ city: '', region: '', country: '' },
        remote: '203.0.113.9',
      });
    }
    authority.send('back');
    expect(await supplicant.next()).toMatchObject({ message: 'back' });
    // Nobody hears himself.
    expect([authority.unread, supplicant.unread]).toEqual([0, 0]);
  });

  it('says the whole address of an IPv6 visitor, and believes nobody but a proxy of ours', async () => {
    const headers = { 'x-forwarded-for': '2001:db8::7' };
    const { authority, supplicant } = await introduced(server.url, { headers });
    supplicant.send('a');
    expect(((await authority.next()) as Envelope).sender.remote).toBe('2001:db8::7');
    await withServer({}, async (own) => {
      const pair = await introduced(own.url, { headers });
      pair.supplicant.send('a');
      const { sender } = (await pair.authority.next()) as Envelope;
      expect(['127.0.0.1', '::1']).toContain(sender.remote);
    });
  });

  it('keeps an agent that is endless short', async () => {
    const headers = { 'user-agent': 'x'.repeat(5000) };
    const { authority, supplicant } = await introduced(server.url, { headers });
    supplicant.send('a');
    expect(((await authority.next()) as Envelope).sender.ua).toHaveLength(300);
  });

  it('never mixes two channels', async () => {
    const one = await introduced(server.url);
    const other = await introduced(server.url);
    one.supplicant.send('for one');
    other.supplicant.send('for the other');
    expect(await one.authority.next()).toMatchObject({ message: 'for one' });
    expect(await other.authority.next()).toMatchObject({ message: 'for the other' });
    expect([one.authority.unread, other.authority.unread]).toEqual([0, 0]);
  });

  it('lets no third one in', async () => {
    const { authority, supplicant, link } = await introduced(server.url);
    expect((await refusal(server.url, link)).status).toBe(409);
    supplicant.send('still there');
    expect(await authority.next()).toMatchObject({ message: 'still there' });
  });

  it('is over for both when one leaves, and cannot be joined again', async () => {
    const { authority, supplicant, link } = await introduced(server.url);
    supplicant.socket.close();
    expect(await authority.closed).toEqual([1000, 'left']);
    expect((await refusal(server.url, link)).status).toBe(404);
    const lonely = await RelayEnd.connect(server.url);
    const { link: left } = (await lonely.next()) as { link: string };
    lonely.socket.terminate();
    await lonely.closed;
    const again = await refusal(server.url, left).catch(() => RelayEnd.connect(server.url, left));
    if (again instanceof RelayEnd) await again.closed;
  });

  it('refuses an id that nobody has', async () => {
    for (const id of ['x', 'AAAAAAAAAAAAAAAAAAAAAA', '..', '%00', '__proto__']) {
      const { status } = await refusal(server.url, `/v1/ws/${id}`);
      // `..` is the address above.
      expect([id, status]).toEqual([id, 404]);
    }
  });

  it('hangs up on a message that is too large, and on one that is no text', async () => {
    const large = await introduced(server.url);
    large.supplicant.send('x'.repeat(32_769));
    expect((await large.supplicant.closed)[0]).toBe(1009);
    expect((await large.authority.closed)[0]).toBe(1000);
    expect(large.authority.unread).toBe(0);
    const binary = await introduced(server.url);
    binary.supplicant.socket.send(Buffer.from('x'));
    expect(await binary.supplicant.closed).toEqual([1003, 'not-text']);
    expect(await binary.authority.closed).toEqual([1003, 'not-text']);
  });

  it('ends a channel with more messages than a pairing has', async () => {
    await withServer({ PAIRING_EXCHANGES_MAX: '3' }, async ({ url }) => {
      const { authority, supplicant } = await introduced(url);
      supplicant.send('1');
      supplicant.send('2');
      authority.send('3');
      await supplicant.next();
      supplicant.send('4');
      expect(await authority.closed).toEqual([1008, 'too-many-messages']);
      expect(await supplicant.closed).toEqual([1008, 'too-many-messages']);
      expect(authority.unread).toBe(2);
    });
  });

  it('ends a channel when its time is over', async () => {
    await withServer({}, async ({ url, clock }) => {
      const { authority, supplicant } = await introduced(url);
      clock.advance(300);
      expect(await Promise.all([authority.closed, supplicant.closed])).toEqual([
        [1000, 'expired'],
        [1000, 'expired'],
      ]);
    });
  });

  it('asks whether an end is there, and goes on with those that answer alone', async () => {
    await withServer({ PAIRING_IDLE_SECONDS: '100' }, async ({ url, clock }) => {
      const silent = await introduced(url, { autoPong: false });
      const { authority, supplicant } = await introduced(url);
      await Promise.all([once(authority.socket, 'ping'), once(supplicant.socket, 'ping')]);
      clock.advance(60);
      await Promise.all([once(authority.socket, 'ping'), once(supplicant.socket, 'ping')]);
      clock.advance(60);
      expect(await silent.authority.closed).toEqual([1000, 'idle']);
      expect(await silent.supplicant.closed).toEqual([1000, 'idle']);
      supplicant.send('here');
      expect(await authority.next()).toMatchObject({ message: 'here' });
    });
  });

  it('does not keep in memory what an end does not read', async () => {
    const sizes = { PAIRING_MESSAGE_BYTES_MAX: '1048576', PAIRING_EXCHANGES_MAX: '10000' };
    await withServer(sizes, async ({ url }) => {
      const { authority, supplicant } = await introduced(url);
      authority.socket.pause();
      const frame = 'x'.repeat(1_048_576);
      let sent = 0;
      const over = supplicant.closed.then(([code, why]) => ({ code, why }));
      while (supplicant.socket.readyState === supplicant.socket.OPEN && sent < 200) {
        await new Promise((done) => {
          supplicant.socket.send(frame, done);
        });
        sent++;
      }
      expect(await over).toEqual({ code: 1013, why: 'slow-reader' });
      expect(sent).toBeLessThan(200);
      authority.socket.terminate();
    });
  });

  it('has room for so many, and says when to come back', async () => {
    await withServer({ PAIRING_CHANNELS_MAX: '2' }, async ({ url }) => {
      const first = await RelayEnd.connect(url);
      await RelayEnd.connect(url);
      const { status, headers } = await refusal(url);
      expect([status, headers['retry-after']]).toEqual([503, '60']);
      first.socket.close();
      await first.closed;
      await RelayEnd.connect(url);
    });
  });

  it('keeps nothing of a channel that ended while somebody was about to join it', async () => {
    await withServer({ PAIRING_CHANNELS_MAX: '1' }, async ({ url, db }) => {
      // Who was found to know an id is given a guess back, and has to wait for that here.
      await db.query(`CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END'`);
      await db.query(
        `CREATE TRIGGER wait BEFORE UPDATE ON budget FOR EACH ROW EXECUTE FUNCTION wait()`,
      );
      const authority = await RelayEnd.connect(url);
      const { link } = (await authority.next()) as { link: string };
      const { joined } = await db.transaction(async (tx) => {
        await tx.query(`SELECT pg_advisory_xact_lock(1)`);
        const joining = refusal(url, link).then(({ status }) => status);
        joining.catch(() => undefined);
        await until(async () => {
          const waiting = await tx.query<object[]>(
            `SELECT FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()`,
          );
          return waiting.length > 0;
        });
        authority.socket.close();
        await authority.closed;
        return { joined: joining };
      });
      expect(await joined).toBe(404);
      // Its place is free again.
      await RelayEnd.connect(url);
    });
  });

  it('gives each client so many channels and so many guesses of an id', async () => {
    const budgets = { BUDGETS: 'pairing.client=2/600,guess.client=3/600' };
    await withServer({ ...budgets, TRUSTED_PROXIES: '127.0.0.0/8,::1' }, async ({ url }) => {
      const from = (address: string) => ({ 'x-forwarded-for': address });
      const { link } = (await (
        await RelayEnd.connect(url, undefined, { headers: from('192.0.2.1') })
      ).next()) as { link: string };
      await RelayEnd.connect(url, undefined, { headers: from('192.0.2.1') });
      const third = await refusal(url, undefined, from('192.0.2.1'));
      expect(third.status).toBe(429);
      expect(Number(third.headers['retry-after'])).toBeGreaterThan(0);

      const guess = (from: Record<string, string>) => refusal(url, '/v1/ws/wrong', from);
      const statuses = [];
      for (let i = 0; i < 4; i++) statuses.push((await guess(from('192.0.2.2'))).status);
      expect(statuses).toEqual([404, 404, 404, 429]);
      // Also with the right one; and nobody else is the worse for it.
      expect((await refusal(url, link, from('192.0.2.2'))).status).toBe(429);
      expect((await guess(from('192.0.2.3'))).status).toBe(404);
      // Whoever is right has guessed nothing.
      await RelayEnd.connect(url, link, { headers: from('192.0.2.3') });
    });
  });

  it('is for browsers and our own pages, and not for those of others', async () => {
    const { host } = new URL(server.url);
    for (const origin of ['https://evil.example', `https://${host}.evil.example`, 'http://']) {
      const { status, body } = await refusal(server.url, '/v1/ws/', { origin });
      expect([status, body.includes('another origin')]).toEqual([403, true]);
      expect((await refusal(server.url, '/v1/ws/x', { origin })).status).toBe(403);
    }
    for (const origin of [server.url, 'null', 'chrome://browser', 'moz-extension://x']) {
      const end = await RelayEnd.connect(server.url, '/v1/ws/', { headers: { origin } });
      end.socket.close();
    }
  });

  it('tells who comes without asking for a WebSocket what is missing', async () => {
    for (const path of ['/v1/ws/', '/v1/ws', '/v1/ws/x']) {
      const reply = await fetch(server.url + path);
      expect(reply.status).toBe(426);
      expect(((await reply.json()) as { detail: string }).detail).toContain('proxy');
    }
  });

  it('answers others as if they had not asked for an upgrade', async () => {
    const { host } = new URL(server.url);
    const upgrade = (path: string, to: string) =>
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade, HTTP2-Settings\r\n` +
      `Upgrade: ${to}\r\nHTTP2-Settings: AAMAAABk\r\n\r\n`;
    const answer = await raw(upgrade('/healthz', 'h2c'));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('x-content-type-options: nosniff');
    expect(await raw(upgrade('/healthz', 'websocket'))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await raw(upgrade('/nowhere', 'h2c'))).toMatch(/^HTTP\/1\.1 404 /);
    expect(await raw(upgrade('/v1/ws/', 'h2c'))).toMatch(/^HTTP\/1\.1 426 /);
    // A handshake that is none.
    expect(await raw(upgrade('/v1/ws/', 'websocket'))).toMatch(/^HTTP\/1\.1 400 /);
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  it('survives those who hang up in the middle of it', async () => {
    const { host } = new URL(server.url);
    const gone: Promise<unknown>[] = [];
    for (let i = 0; i < 20; i++) {
      const socket = connect(server.config.port, server.config.host);
      socket.on('error', () => undefined);
      socket.write(
        `GET /v1/ws/ HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
        () => socket.resetAndDestroy(),
      );
      gone.push(once(socket, 'close'));
    }
    await Promise.all(gone);
    const { authority, supplicant } = await introduced(server.url);
    supplicant.send('well');
    expect(await authority.next()).toMatchObject({ message: 'well' });
  });

  it('says goodbye when the server stops, also to one that does not answer', async () => {
    const own = await TestServer.start();
    const { authority, supplicant } = await introduced(own.url);
    const deaf = await introduced(own.url);
    deaf.authority.socket.pause();
    await own.stop();
    expect(await authority.closed).toEqual([1001, 'stopping']);
    expect(await supplicant.closed).toEqual([1001, 'stopping']);
    deaf.authority.socket.terminate();
  });

  it('logs nothing of what is said, by whom, and in which channel', async () => {
    const lines: string[] = [];
    const keep = (...words: unknown[]) => lines.push(JSON.stringify(words));
    const own = await TestServer.start();
    Logger.overrideLogger({ log: keep, warn: keep, error: keep });
    try {
      const headers = { 'user-agent': 'agent-of-a-person' };
      const { authority, supplicant, link } = await introduced(own.url, { headers });
      supplicant.send('ciphertext-of-a-person');
      await authority.next();
      supplicant.socket.close();
      await authority.closed;
      await refusal(own.url, '/v1/ws/wrong-id');
      const log = lines.join('\n');
      expect(log).toContain('pairing-ended');
      for (const secret of [link.slice(7), 'ciphertext', 'agent-of', '127.0.0.1', 'wrong-id']) {
        expect(log).not.toContain(secret);
      }
    } finally {
      Logger.overrideLogger(false);
      await own.stop();
    }
  });
});

it('is not part of a storage node', async () => {
  const node = await TestServer.start({
    LOCKSTEP_ROLE: 'storage',
    SYNC_MASTER_SECRET: 'a secret that the server and its node share',
  });
  try {
    await expect(RelayEnd.connect(node.url)).rejects.toThrow();
  } finally {
    await node.stop();
  }
});

/** Header values hold bytes. */
function encoded<T extends Record<string, string>>(headers: T): T {
  const entries = Object.entries(headers).map(([name, value]) => [
    name,
    Buffer.from(value).toString('latin1'),
  ]);
  return Object.fromEntries(entries) as T;
}
