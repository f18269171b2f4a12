import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mailedCode } from '../../apps/demo/src/mailbox.ts';
import type { Person } from '../../test/support/firefox/account-pages.ts';
import { Device } from '../../test/support/firefox/device.ts';
import { findFirefox, Firefox } from '../../test/support/firefox/firefox.ts';
import { print, say } from '../sync/report.ts';
import type { ServerUnderTest } from '../sync/server-under-test.ts';
import type { Bench } from './bench.ts';
import { atMost } from './verdict.ts';

const SHARE_MAX = 0.1;
const ROUTES = 8;
const SITE = 'https://library.example';

/**
 * Two Firefoxes, already started: one signs up on our page, the other one signs in; a bookmark, a
 * password, a visit and deletions go to and fro. How long it takes, and how much of it the server was
 * busy. Another pair went before, so that the server has met everything once.
 */
export async function benchFirefox({ server }: Bench): Promise<void> {
  if (findFirefox() === undefined) {
    say('Firefox: none is installed. `apt install firefox-esr`, or set FIREFOX_BIN.', '');
    return;
  }
  await measure(server, 'first@example.org');
  const { times, began, ended, used } = await measure(server, 'second@example.org');
  const requests = (await requestsOf(server.dataDir)).filter(
    ({ end }) => end >= began && end <= ended + 1,
  );
  const seconds = (ended - began) / 1000;
  const busy = busySeconds(requests);
  const statuses = new Map<number, number>();
  for (const { status } of requests) statuses.set(status, (statuses.get(status) ?? 0) + 1);
  say('Two Firefoxes, from the click on "Sign in" to the last deletion', '');
  print([
    ['step', 'seconds'],
    ...Object.entries(times).map(([name, time]) => [name, time.toFixed(2)]),
    ['all of it', seconds.toFixed(2)],
  ]);
  print([
    ['', 'seconds', 'share', 'target', ''],
    ['at least one request under way', busy.toFixed(2), ...atMost(busy / seconds, SHARE_MAX)],
    ['processor, server and database', used.toFixed(2), (used / seconds).toFixed(2)],
  ]);
  print([['where the server was longest', 'requests', 'ms'], ...longest(requests)]);
  const counts = [...statuses].map(([status, count]) => `${count} × ${status}`).join(', ');
  say(`    ${requests.length} requests: ${counts}`, '');
}

/** One journey; times in milliseconds since 1970, processor time in seconds. */
async function measure(server: ServerUnderTest, email: string) {
  try {
    const mailbox = async () => {
      const [row] = await server.query<{ uid: string }>(
        'SELECT uid FROM account WHERE email = $1',
        [email],
      );
      return mailedCode(server.dataDir, row?.uid ?? '');
    };
    const start = () => Device.start(server.origin, mailbox);
    const [a, b] = await Promise.all([start(), start()]);
    const before = await server.usage();
    const began = Date.now();
    const times = await journey(a, b, { email, password: 'correct horse battery' });
    const ended = Date.now();
    const after = await server.usage();
    const used = after.server + after.database - before.server - before.database;
    return { times, began, ended, used };
  } finally {
    await Firefox.killAll();
  }
}

/** @returns seconds by step */
async function journey(a: Device, b: Device, person: Person): Promise<Record<string, number>> {
  const times: Record<string, number> = {};
  const step = async (name: string, work: () => Promise<unknown>) => {
    const started = performance.now();
    await work();
    times[name] = (performance.now() - started) / 1000;
  };
  await step('sign-up and first sync', async () => {
    await a.library.addBookmark({ title: 'Catalogue', url: `${SITE}/catalogue` });
    await a.library.saveLogin({ origin: SITE, username: 'person', password: 'ticket' });
    await a.library.visit(`${SITE}/hours`, 'Opening hours');
    await a.signUp(person);
  });
  await step('sign-in on the other device', () => b.signIn(person));
  await step('a change there and back', async () => {
    await b.library.addBookmark({ title: 'New books', url: `${SITE}/new` });
    await b.exchange();
    await a.exchange();
    await a.library.removeBookmarks(`${SITE}/catalogue`, `${SITE}/new`);
    await a.library.forgetLogins(SITE);
    await a.exchange();
    await b.exchange();
    const left = [
      ...(await b.library.bookmarks(`${SITE}/catalogue`)),
      ...(await b.library.bookmarks(`${SITE}/new`)),
      ...(await b.library.logins(SITE)),
    ];
    const visits = await b.library.visits(`${SITE}/hours`);
    if (left.length > 0 || visits !== 1) throw new Error('The two do not hold the same.');
  });
  return times;
}

/** A request, in milliseconds since 1970. */
interface Timed {
  start: number;
  end: number;
  status: number;
  route: string;
}

/** What the server wrote about its requests. */
async function requestsOf(dataDir: string): Promise<Timed[]> {
  const log = await readFile(join(dataDir, 'logs', 'output.log'), 'utf8');
  return log
    .split('\n')
    .filter((line) => line.includes('"event":"request"'))
    .map((line) => {
      const { timestamp, ms, status, method, route } = JSON.parse(line) as LogLine;
      return { start: timestamp - ms, end: timestamp, status, route: `${method} ${route}` };
    });
}

interface LogLine {
  timestamp: number;
  ms: number;
  status: number;
  method: string;
  route: string;
}

/** The routes that took most of the time, with their requests and milliseconds. */
function longest(requests: readonly Timed[]): string[][] {
  const spent = new Map<string, { count: number; ms: number }>();
  for (const { route, start, end } of requests) {
    const { count, ms } = spent.get(route) ?? { count: 0, ms: 0 };
    spent.set(route, { count: count + 1, ms: ms + end - start });
  }
  const rows = [...spent].sort(([, a], [, b]) => b.ms - a.ms).slice(0, ROUTES);
  return rows.map(([route, { count, ms }]) => [route, String(count), String(ms)]);
}

/** Time in which at least one of them was under way. */
function busySeconds(requests: readonly Timed[]): number {
  let busy = 0;
  let until = 0;
  for (const { start, end } of requests.toSorted((a, b) => a.start - b.start)) {
    busy += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return busy / 1000;
}
