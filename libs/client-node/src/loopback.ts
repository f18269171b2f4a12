import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type App, ClientError, type Lockstep } from '#lib/client';

const PATH = '/callback';
const LINGER_MS = 1000;
const HEADERS = {
  'content-type': 'text/plain; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  connection: 'close',
};

/**
 * Signs in a program on this computer: the browser comes back to a port of `127.0.0.1`, where only this
 * computer is heard. The app is registered as native, with `http://127.0.0.1/callback`; the port is free.
 *
 * @param open - shows an address in the person's browser, or to the person
 * @throws ClientError `aborted`; and what `Lockstep.finishRedirect` throws
 * @see RFC 8252 §7.3
 */
export async function signInByLoopback(
  lockstep: Lockstep,
  open: (url: string) => void | Promise<void>,
  { signal }: { signal?: AbortSignal } = {},
): Promise<App> {
  const listener = createServer();
  await new Promise<void>((listening, failed) => {
    listener.once('error', failed).listen(0, '127.0.0.1', listening);
  });
  const origin = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`;
  const answer = answerTo(listener, lockstep, { origin, signal });
  try {
    await open(await lockstep.startRedirect(origin + PATH));
    return await answer;
  } finally {
    answer.catch(() => undefined); // when it did not come to that
    listener.close();
    // Whoever connected and says nothing would keep the program from ending; what is being answered may end.
    setTimeout(() => {
      listener.closeAllConnections();
    }, LINGER_MS).unref();
  }
}

function answerTo(
  listener: ReturnType<typeof createServer>,
  lockstep: Lockstep,
  { origin, signal }: { origin: string; signal: AbortSignal | undefined },
): Promise<App> {
  return new Promise<App>((done, failed) => {
    signal?.addEventListener('abort', () => {
      failed(new ClientError('aborted', 0, 'The sign-in was called off.'));
    });
    listener.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const target = request.url ?? '';
      const url = origin + target;
      // Another program may ask for what is no path, and the whole no address.
      const isAnswer = request.method === 'GET' && target.split('?')[0] === PATH;
      // Any page can send a browser here: what nobody waits for ends nothing.
      if (!isAnswer || !lockstep.expects(url)) {
        response.writeHead(404, HEADERS).end('Nothing is here.\n');
        return;
      }
      lockstep.finishRedirect(url).then(
        (app) => {
          response.writeHead(200, HEADERS).end('You are signed in. This window can be closed.\n');
          if (app) done(app);
          else failed(new ClientError('malformed-answer', 0, 'There is no answer in the address.'));
        },
        (error: unknown) => {
          response.writeHead(400, HEADERS).end('You are not signed in. The program says why.\n');
          failed(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  });
}
