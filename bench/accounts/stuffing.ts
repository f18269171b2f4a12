import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { percentile, print, say } from '../sync/report.ts';
import type { AccountApi, Reply } from './account-api.ts';
import type { Bench } from './bench.ts';

const GUESSES_PER_SECOND = 50;
const KNOWN = 20;

/** Somebody tries passwords, from one address and then from many; meanwhile people go on. */
export async function benchStuffing({ server, api, options }: Bench): Promise<void> {
  const { seconds = 20 } = options;
  say(
    `${GUESSES_PER_SECOND} guesses a second for ${seconds} s, one in five of a known address`,
    '',
  );
  const victims = await api.signUp(KNOWN);
  const people = await api.signUp(2);
  const quiet = await live(api, people, 5);
  print([HEADING, ...row('log-ins of a person', quiet.logins), ...row('calls', quiet.calls)]);
  for (const from of ['one address', 'an address each']) {
    await server.forgetMemoryPeak();
    const before = await server.memoryPeak();
    const besieged = live(api, people, seconds);
    const one = api.stranger().from;
    const guesses: Promise<Reply>[] = [];
    const started = performance.now();
    for (let i = 0; i < seconds * GUESSES_PER_SECOND; i++) {
      const stranger = api.stranger();
      const email = i % 5 === 0 ? victims[i % KNOWN]?.email : stranger.email;
      const body = { email, authPW: randomBytes(32).toString('hex') };
      const path = '/auth/v1/account/login';
      guesses.push(api.call({ path, body, from: from === 'one address' ? one : stranger.from }));
      const next = started + (i + 1) * (1000 / GUESSES_PER_SECOND);
      await pause(Math.max(0, next - performance.now()));
    }
    const { logins, calls } = await besieged;
    const answered = await Promise.all(guesses);
    const added = ((await server.memoryPeak()) - before) / 1e6;
    say(`from ${from}; ${added.toFixed(0)} MB of memory more than before`);
    const rows = [...row('guesses', answered), ...row('log-ins of a person', logins)];
    print([HEADING, ...rows, ...row('calls with a session', calls)]);
  }
}

/** Two people: one signs in again and again, the other one has a session and uses it. */
async function live(
  api: AccountApi,
  [first, second]: Awaited<ReturnType<AccountApi['signUp']>>,
  seconds: number,
) {
  if (!first || !second) throw new TypeError('Two people are needed.');
  const end = performance.now() + seconds * 1000;
  const repeat = async (everyMs: number, ask: () => Promise<Reply>) => {
    const replies: Reply[] = [];
    while (performance.now() < end) {
      replies.push(await ask());
      await pause(everyMs);
    }
    return replies;
  };
  const authorization = api.bearer(second.sessionToken);
  const path = '/auth/v1/session/status';
  const [logins, calls] = await Promise.all([
    repeat(1000, () => api.login(first)),
    repeat(100, () => api.call({ method: 'GET', path, authorization, from: second.from })),
  ]);
  return { logins, calls };
}

const HEADING = ['', 'requests', 'p50 ms', 'p95 ms', 'answers'];

/** A row of the table. */
function row(label: string, replies: readonly Reply[]): string[][] {
  const times = replies.map(({ ms }) => ms);
  const counts = new Map<number, number>();
  for (const { status } of replies) counts.set(status, (counts.get(status) ?? 0) + 1);
  const statuses = [...counts].map(([status, count]) => `${count} × ${status}`).join(', ');
  const numbers = [0.5, 0.95].map((share) => percentile(times, share).toFixed(0));
  return [[label, String(replies.length), ...numbers, statuses]];
}
