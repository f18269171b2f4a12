import { percentile, print, say } from '../sync/report.ts';
import type { Bench } from './bench.ts';
import { atMost } from './verdict.ts';

const CROWD = 100;
const MEGABYTES_MAX = 512;

/** Everybody comes at once: nobody is refused, and the memory that it takes has a bound. */
export async function benchCrowd({ server, api }: Bench): Promise<void> {
  say(`${CROWD} log-ins at once`, '');
  const people = await api.signUp(CROWD);
  await server.forgetMemoryPeak();
  const before = await server.memoryPeak();
  const started = performance.now();
  const replies = await Promise.all(people.map((person) => api.login(person)));
  const seconds = (performance.now() - started) / 1000;
  const added = ((await server.memoryPeak()) - before) / 1e6;
  const refused = replies.filter(({ status }) => status !== 200);
  const times = replies.map(({ ms }) => ms / 1000);
  print([
    ['', 'seconds', 'p50 s', 'p99 s', 'refused', 'added MB', 'target', ''],
    [
      ...['all of them', seconds.toFixed(1), percentile(times, 0.5).toFixed(1)],
      ...[percentile(times, 0.99).toFixed(1), String(refused.length)],
      ...atMost(added, MEGABYTES_MAX, 0),
    ],
  ]);
  const [first] = refused;
  if (first) say(`    ${first.status} ${first.text}`, '');
}
