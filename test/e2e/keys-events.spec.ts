import { connect } from 'node:net';
import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { KeyEvents } from '#lib/protocol';
import { KeyStreamsService } from '../../apps/server/src/keys/key-streams.service.ts';
import { caller } from '../support/caller.ts';
import { KeyHolder } from '../support/key-holder.ts';
import { TestServer } from '../support/test-server.ts';
import { until as untilAsync } from '../support/until.ts';

let server: TestServer;
let alice: KeyHolder;
let bob: KeyHolder;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice = await KeyHolder.join(server, await caller(server));
  bob = await KeyHolder.join(server, await caller(server));
  await bob.get(`users/${alice.who.uid}`);
});

/** Looks again after each round of the event loop. */
const until = (isSo: () => boolean | Promise<boolean>): Promise<void> =>
  untilAsync(async () => {
    await setImmediate();
    return isSo();
  });
const unknownUid = () => crypto.randomUUID().replaceAll('-', '');

describe('events', () => {
  it('tell the newest version of each, and later what changed since', async () => {
    const first = await bob.get(`events?uid=${alice.who.uid}`);
    const { etag } = (await bob.get(`users/${alice.who.uid}`)).headers;
    const event = { uid: alice.who.uid, ver: 1, etag };
    expect(first.body).toMatchObject({ events: [event], unknown: [] });
    // A change that comes within seconds of the cursor is told twice; an older one is not.
    await server.db.query(`UPDATE key_member SET changed_at = changed_at - interval '1 hour'`);
    const { cursor } = first.body as KeyEvents;
    const since = await bob.get(`events?uid=${alice.who.uid}&since=${cursor}`);
    expect(since.body).toMatchObject({ events: [] });
    await alice.put(await alice.rotated());
    const next = await bob.get(`events?uid=${alice.who.uid}&since=${cursor}`);
    expect((next.body as KeyEvents).events.map(({ ver }) => ver)).toEqual([2]);
    await alice.revoke(await alice.revocation());
    const revoked = await bob.get(`events?uid=${alice.who.uid}&since=${cursor}`);
    const [told] = (revoked.body as KeyEvents).events;
    expect([told?.ver, told?.etag === alice.etag]).toEqual([2, false]);
  });

  it('are of those alone whom the caller has found', async () => {
    const carol = await KeyHolder.join(server, await caller(server));
    const nobody = unknownUid();
    await bob.get(`users/${nobody}`);
    const uids = [alice.who.uid, carol.who.uid, nobody];
    const answer = (await bob.send('post', 'events', { uids })).body as KeyEvents;
    expect(answer.events.map(({ uid }) => uid)).toEqual([alice.who.uid]);
    expect(answer.unknown.sort()).toEqual([carol.who.uid, nobody].sort());
  });

  it('are asked for of 100 in a URL, and of 500 in a body', async () => {
    const uids = Array.from({ length: 500 }, unknownUid);
    const query = (count: number) =>
      uids
        .slice(0, count)
        .map((uid) => `uid=${uid}`)
        .join('&');
    expect((await bob.get(`events?${query(100)}`)).status).toBe(200);
    expect((await bob.get(`events?${query(101)}`)).status).toBe(400);
    expect((await bob.send('post', 'events', { uids })).status).toBe(200);
    const more = [...uids, unknownUid()];
    expect((await bob.send('post', 'events', { uids: more })).status).toBe(400);
    for (const wrong of ['', 'uid=x', 'since=x', `since=-1&uid=${uids[0] ?? ''}`]) {
      expect((await bob.get(`events?${wrong}`)).status).toBe(400);
    }
  });
});

describe('a stream of events', () => {
  const streams = () => server.app.get(KeyStreamsService);
  const ofBob = () =>
    [...(Reflect.get(streams(), 'streams') as Set<{ uid: string; out: Readable }>)].flatMap(
      (one) => (one.uid === bob.who.uid ? [one.out] : []),
    );
  const open = async (who = bob, headers: Record<string, string> = {}) => {
    const authorization = headers.authorization ?? (await who.who.authorization('keys'));
    const ending = new AbortController();
    const response = await fetch(`${server.url}/keys/v1/events?uid=${alice.who.uid}`, {
      headers: { accept: 'text/event-stream', ...headers, authorization },
      signal: ending.signal,
    });
    let text = '';
    let isOver = false;
    void (async () => {
      const decoder = new TextDecoder();
      for await (const chunk of response.body ?? []) text += decoder.decode(chunk);
    })()
      .catch(() => undefined)
      .finally(() => (isOver = true));
    return {
      response,
      text: () => text,
      events: () =>
        [...text.matchAll(/^event: key\nid: (\d+)\ndata: (.+)$/gm)].map(
          ([, id = '', data = '']) => ({
            id,
            ...(JSON.parse(data) as { uid: string; ver: number }),
          }),
        ),
      isOver: () => isOver,
      end: () => {
        ending.abort();
      },
    };
  };

  it('begins with what stands, tells each change once, and goes on where it was', async () => {
    const stream = await open();
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream');
    expect(stream.response.headers.get('cache-control')).toBe('no-store');
    await until(() => stream.events().length === 1);
    await alice.put(await alice.rotated());
    await streams().look();
    await streams().look();
    await until(() => stream.events().length === 2);
    expect(stream.events().map(({ ver }) => ver)).toEqual([1, 2]);
    const last = stream.events().at(-1)?.id ?? '';
    stream.end();
    await server.db.query(`UPDATE key_member SET changed_at = changed_at - interval '1 hour'`);
    const again = await open(bob, { 'last-event-id': last });
    await until(() => again.text().includes('watching'));
    expect(again.events()).toEqual([]);
    again.end();
  });

  it('ends with its token, and gives a sign of life till then', async () => {
    const authorization = await bob.who.authorization('keys');
    const stream = await open(bob, { authorization });
    await streams().beat();
    await until(() => stream.text().includes('\n:\n'));
    server.clock.advance(3601);
    await streams().beat();
    await until(stream.isOver);
  });

  it('is one of four of a user in an app', async () => {
    const four = [await open(), await open(), await open(), await open()];
    expect(four.map(({ response }) => response.status)).toEqual([200, 200, 200, 200]);
    expect((await open()).response.status).toBe(429);
    four[0]?.end();
    await until(async () => {
      const one = await open();
      one.end();
      return one.response.status === 200;
    });
    for (const stream of four) stream.end();
  });

  it('is not kept open by a HEAD, nor for others when many are asked for on one connection', async () => {
    const { port, hostname } = new URL(server.url);
    const authorization = await bob.who.authorization('keys');
    const path = `/keys/v1/events?uid=${alice.who.uid}`;
    const headers = { accept: 'text/event-stream', authorization };
    for (let n = 0; n < 5; n++) {
      const head = await fetch(server.url + path, { method: 'HEAD', headers });
      expect(head.status).toBe(200);
      await until(() => ofBob().length === 0);
    }
    const one = `GET ${path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\nauthorization: ${authorization}\r\n\r\n`;
    const socket = connect(Number(port), hostname);
    socket.write(one.repeat(4));
    await until(() => ofBob().length === 4);
    socket.destroy();
    await until(() => ofBob().length === 0);
  });

  it('is let go when nobody reads it', () => {
    const { uid, clientId } = bob.who;
    const events = Array.from({ length: 2000 }, () => ({
      uid: unknownUid(),
      ver: 1,
      etag: '"1-x"',
    }));
    const grant = { uid, clientId, scopes: [], audience: '' };
    const known = { events, unknown: [], cursor: '0' };
    const out = streams().open(grant, 'token', [], known);
    expect(out.destroyed).toBe(true);
  });

  it('is cut when what was written before its end is not read', async () => {
    const { uid, clientId } = bob.who;
    const grant = { uid, clientId, scopes: [], audience: '' };
    const out = streams().open(grant, 'token', [], { events: [], unknown: [], cursor: '0' });
    await streams().beat();
    expect([out.destroyed, ofBob()]).toEqual([false, [out]]);
    await streams().beat();
    expect(out.destroyed).toBe(true);
    await until(() => ofBob().length === 0);
  });

  it('tells one’s own changes to who hides from everybody', async () => {
    await alice.get(`users/${alice.who.uid}`);
    await server.db.query(`UPDATE key_member SET discoverable = 'nobody' WHERE uid = $1`, [
      alice.who.uid,
    ]);
    const [own, others] = [await open(alice), await open(bob)];
    await alice.put(await alice.rotated());
    await streams().look();
    await until(() => own.events().length === 2);
    expect([own.events().map(({ ver }) => ver), others.events()]).toEqual([[1, 2], []]);
    own.end();
    others.end();
  });

  it('ends when the server stops', async () => {
    const another = await TestServer.start();
    const carol = await KeyHolder.join(another, await caller(another));
    const response = await fetch(`${another.url}/keys/v1/events?uid=${carol.who.uid}`, {
      headers: {
        accept: 'text/event-stream',
        authorization: await carol.who.authorization('keys'),
      },
    });
    await another.stop();
    expect(await response.text()).toContain('watching');
  });
});
