import { randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { median, print, say } from '../sync/report.ts';
import type { Bench } from './bench.ts';
import { atMost } from './verdict.ts';

const TARGET = 1.25;
const PER_ROUND = 8;
/** The server's: onepw. */
const COST = { N: 65_536, r: 8, p: 1, maxmem: 80 * 1024 * 1024 };

const stretch = promisify<Buffer, Buffer, number, object, Buffer>(scrypt);

/** One log-in after the other, in turns with one scrypt after the other. */
export async function benchLogin({ api, options: { rounds } }: Bench): Promise<void> {
  say(`Log-in beside a bare scrypt, ${rounds} times ${PER_ROUND} of each in turns; ms`, '');
  const people = await api.signUp(PER_ROUND);
  const bare: number[] = [];
  const ours: number[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const person of people) {
      const started = performance.now();
      await stretch(randomBytes(32), randomBytes(32), 32, COST);
      bare.push(performance.now() - started);
      const reply = await api.login(person);
      if (reply.status !== 200) throw new Error(`No log-in: ${reply.status} ${reply.text}`);
      ours.push(reply.ms);
    }
  }
  print([
    ['', 'bare scrypt', 'log-in', 'ratio', 'target', ''],
    [
      ...['median', median(bare).toFixed(1), median(ours).toFixed(1)],
      ...atMost(median(ours) / median(bare), TARGET),
    ],
  ]);
}
