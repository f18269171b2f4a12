import { randomBytes } from 'node:crypto';
import { median, print, say } from '../sync/report.ts';
import type { Person, Reply } from './account-api.ts';
import type { Bench } from './bench.ts';

const PAIRS = 60;
/** How often each pair is asked, as far as the limits of an account go. */
const ROUNDS = 3;

/** Calls that must not say who has an account. */
const calls: Readonly<Record<string, (person: Person) => { path: string; body: object }>> = {
  'account/login': ({ email }) => ({
    path: '/auth/v1/account/login?keys=true',
    body: { email, authPW: randomBytes(32).toString('hex') },
  }),
  'account/credentials/status': ({ email }) => ({
    path: '/auth/v1/account/credentials/status',
    body: { email },
  }),
  'password/forgot/send_otp': ({ email }) => ({
    path: '/auth/v1/password/forgot/send_otp',
    body: { email },
  }),
  'account/login/send_unblock_code': ({ email }) => ({
    path: '/auth/v1/account/login/send_unblock_code',
    body: { email },
  }),
};

/** For each call, one person who has an account after one who has none, and the other way round. */
export async function benchTiming({ api }: Bench): Promise<void> {
  say(
    `Does the time of an answer tell who has an account? ${PAIRS} pairs, each ${ROUNDS} times; ms`,
  );
  say('"hit slower": how often the known address took longer, of all pairs; 0.5 tells nothing', '');
  const people = await api.signUp(PAIRS);
  const strangers = people.map(() => api.stranger());
  const rows = [['', 'known', 'unknown', 'difference', 'hit slower', 'answers']];
  for (const [name, make] of Object.entries(calls)) {
    const hits: number[] = [];
    const misses: number[] = [];
    const answers = new Set<string>();
    for (let i = 0; i < PAIRS * ROUNDS; i++) {
      const [person, stranger] = [people[i % PAIRS], strangers[i % PAIRS]];
      if (!person || !stranger) continue;
      const ask = async (of: Person & { from: string }, into: number[]) => {
        // Both have a connection that was used before.
        await api.call({ method: 'GET', path: '/healthz', from: of.from });
        const reply = await api.call({ ...make(of), from: of.from });
        into.push(reply.ms);
        answers.add(kindOf(reply));
      };
      const both = [() => ask(person, hits), () => ask(stranger, misses)];
      for (const one of i % 2 === 0 ? both : both.toReversed()) await one();
    }
    const slower = hits.filter((ms, i) => ms > (misses[i] ?? 0)).length / hits.length;
    const difference = median(hits) - median(misses);
    rows.push([
      ...[name, median(hits).toFixed(1), median(misses).toFixed(1), difference.toFixed(1)],
      ...[slower.toFixed(2), [...answers].sort().join(' ')],
    ]);
  }
  print(rows);
}

/** `400/103`: the status and the errno. */
function kindOf({ status, text }: Reply): string {
  const errno = /"errno":(\d+)/.exec(text)?.[1];
  return errno === undefined ? String(status) : `${status}/${errno}`;
}
