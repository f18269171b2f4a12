import { Server } from '#lib/client';
import { TestServer } from '../support/test-server.ts';
import { join, type Victim } from './people.ts';

const MIB = 1_048_576;

describe('a server that answers without end', () => {
  let server: TestServer;
  let alice: Victim;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await join(server, 'Alice');
  });
  afterAll(() => server.stop());
  afterEach(() => {
    alice.liar.repent();
  });

  /** A body of spaces that goes on, and how much of it was taken. */
  function endless(status: number) {
    const taken = { bytes: 0 };
    const fetch = () => {
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          taken.bytes += MIB;
          if (taken.bytes > 500 * MIB) controller.close();
          else controller.enqueue(new Uint8Array(MIB).fill(0x20));
        },
      });
      return Promise.resolve(new Response(body, { status }));
    };
    return { taken, options: { now: () => 0, sleep: () => Promise.resolve(), fetch } };
  }

  it('is not listened to beyond the length of any answer', async () => {
    const { taken, options } = endless(200);
    await expect(Server.at('http://localhost', options)).rejects.toMatchObject({
      code: 'malformed-answer',
    });
    expect(taken.bytes).toBeLessThan(70 * MIB);
  });

  it('is not listened to beyond the length of any refusal', async () => {
    const { taken, options } = endless(400);
    await expect(Server.at('http://localhost', options)).rejects.toMatchObject({
      ...{ code: 'http-400', status: 400 },
    });
    expect(taken.bytes).toBeLessThan(4 * MIB);
  });

  const COLLECTION = /\/storage\/notes$/;

  it('is not asked for one empty page after another', async () => {
    let pages = 0;
    const next = { 'x-weave-next-offset': 'more' };
    alice.liar.answer('GET', COLLECTION, () => (++pages > 50 ? undefined : []), { headers: next });
    await expect(alice.device.storage.raw('notes')).rejects.toMatchObject({
      code: 'malformed-answer',
    });
    expect(pages).toBe(1);
  });

  it('is not asked for more records than fit', async () => {
    let pages = 0;
    const payload = ' '.repeat(8 * MIB);
    const page = () => {
      pages += 1;
      const records = [1, 2, 3, 4].map((n) => ({ id: `${pages}-${n}`, modified: 1, payload }));
      return pages > 20 ? undefined : records;
    };
    alice.liar.answer('GET', COLLECTION, page, { headers: { 'x-weave-next-offset': 'more' } });
    await expect(alice.device.storage.raw('notes')).rejects.toMatchObject({
      detail: 'The collection notes does not end.',
    });
    expect(pages).toBeLessThan(12);
  });

  it.each(['ftp://localhost/', 'nowhere', 'http://localhost/storage?a='])(
    'cannot send records to %s',
    async (api_endpoint) => {
      const { storage } = await alice.person.anotherDevice();
      alice.liar.alter('GET', /^\/token\//, (answer) => ({ ...answer, api_endpoint }));
      await expect(storage.raw('notes')).rejects.toMatchObject({ code: 'malformed-answer' });
    },
  );

  it('cannot send records of a server with TLS to one without', async () => {
    const { app, storage } = await alice.person.anotherDevice();
    // Only the address says so; the requests go where they always go.
    Object.defineProperty(app.server, 'url', { value: 'https://localhost' });
    await expect(storage.raw('notes')).rejects.toMatchObject({ code: 'malformed-answer' });
  });
});
