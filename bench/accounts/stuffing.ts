import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { percentile, print, say } from '../sync/report.ts';
import type { Reply } from './account-api.ts';
import type { Bench } from './accounts.ts';

const GUESSES_PER_SECOND = 50;
const KNOWN = 20;

/** Somebody tries passwords, each from another address; meanwhile people go on. */
export async function benchStuffing({ server, api, options }: Bench): Promise<void> {
  const { seconds = 20 } = options;
  say(
    `${GUESSES_PER_SECOND} guesses a second for ${seconds} s, one in five of a known address`,
    '',
  );
  const victims = await api.signUp(KNOWN);
  const [person] = await api.signUp(1);
  if (!person) return;
  const authorization = api.bearer(person.sessionToken);
  const live = async (isOver: () => boolean) => {
    const logins: Reply[] = [];
    const calls: Reply[] = [];
    while (!isOver()) {
      const path = '/auth/v1/session/status';
      calls.push(await api.call({ method: 'GET', path, authorization, from: person.from }));
      if (calls.length % 10 === 1) logins.push(await api.login(person));
      await pause(100);
    }
    return { logins, calls };
  };
  const until = performance.now() + 5000;
  const quiet = await live(() => performance.now() >= until);

  await server.forgetMemoryPeak();
  const before = await server.memoryPeak();
  const guesses: Promise<Reply>[] = [];
  const started = performance.now();
  const end = started + seconds * 1000;
  const living = live(() => performance.now() >= end);
  for (let i = 0; performance.now() < end; i++) {
    const stranger = api.stranger();
    const email = i % 5 === 0 ? victims[i % KNOWN]?.email : stranger.email;
    const body = { email, authPW: randomBytes(32).toString('hex') };
    guesses.push(api.call({ path: '/auth/v1/account/login', body, from: stranger.from }));
    await pause(Math.max(0, started + (i + 1) * (1000 / GUESSES_PER_SECOND) - performance.now()));
  }
  const besieged = await living;
  const answered = await Promise.all(guesses);
  const added = ((await server.memoryPeak()) - before) / 1e6;

  const row = (label: string, replies: readonly Reply[]) => {
    const times = replies.map(({ ms }) => ms);
    const counts = new Map<number, number>();
    for (const { status } of replies) counts.set(status, (counts.get(status) ?? 0) + 1);
    const statuses = [...counts].map(([status, count]) => `${count} × ${status}`).join(', ');
    const numbers = [0.5, 0.95].map((share) => percentile(times, share).toFixed(0));
    return [label, String(replies.length), ...numbers, statuses];
  };
  print([
    ['', 'requests', 'p50 ms', 'p95 ms', 'answers'],
    row('guesses', answered),
    row('log-ins of a person, before', quiet.logins),
    row('log-ins of a person, meanwhile', besieged.logins),
    row('calls with a session, before', quiet.calls),
    row('calls with a session, meanwhile', besieged.calls),
  ]);
  say(`    ${added.toFixed(0)} MB of memory more than before`, '');
}
