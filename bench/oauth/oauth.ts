import { atMost } from '../accounts/verdict.ts';
import { machine, median, print, ratio, say } from '../sync/report.ts';
import { readOptions } from './options.ts';
import { type Measured, Side, type Subject, subjects } from './side.ts';

const GUARD_TARGET = 0.6;
/** Of what an empty database takes. */
const FULL_TARGET = 1.1;

const sides = ['empty', 'full'] as const;
type Results = Record<(typeof sides)[number], Record<Subject, Measured[]>>;

/** `npm run bench -- oauth`: what tokens cost. docs/benchmarks.md says what the numbers mean. */
export async function oauth(rest: readonly string[]): Promise<void> {
  const options = readOptions(rest);
  if (!options) return;
  const { rounds, seconds, apps, tokens } = options;
  say(machine(), '');
  say(`8 requests at a time, each ${rounds} times for ${seconds} s, in turns; the median.`);
  say(`Empty: one token. Full: ${apps} apps more, and ${tokens} live tokens.`, '');
  const started: Partial<Record<(typeof sides)[number], Side>> = {};
  try {
    for (const name of sides) started[name] = await Side.start();
    await started.full?.fill(apps, tokens);
    const none = () => ({ bare: [], guarded: [], introspection: [], exchange: [] });
    const results: Results = { empty: none(), full: none() };
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const turn = sides.flatMap((side) => subjects.map((subject) => [side, subject] as const));
      for (const [side, subject] of round % 2 === 0 ? turn : turn.toReversed()) {
        const measured = await started[side]?.measure(subject, seconds);
        if (measured && round > 0) results[side][subject].push(measured);
      }
    }
    report(results);
  } finally {
    for (const side of Object.values(started)) await side.stop();
  }
}

function report(results: Results): void {
  const rate = (side: keyof Results, subject: Subject) =>
    median(results[side][subject].map((measured) => measured.rate));
  const spent = (side: keyof Results, subject: Subject, what: 'server' | 'database') =>
    median(results[side][subject].map((measured) => measured[what]));
  const processor = (side: keyof Results, subject: Subject) =>
    spent(side, subject, 'server') + spent(side, subject, 'database');
  for (const side of sides) {
    print([
      [side, 'requests/s', 'of bare', 'target', '', 'CPU µs: server', 'database', 'of bare'],
      ...subjects.map((subject) => [
        ...[subject, rate(side, subject).toFixed(0)],
        ...ratio(
          rate(side, subject) / rate(side, 'bare'),
          subject === 'guarded' ? GUARD_TARGET : undefined,
        ),
        spent(side, subject, 'server').toFixed(0),
        spent(side, subject, 'database').toFixed(0),
        (processor(side, subject) / processor(side, 'bare')).toFixed(2),
      ]),
    ]);
  }
  print([
    ['full beside empty', 'CPU µs empty', 'full', 'ratio', 'target', ''],
    ...subjects.map((subject) => [
      ...[subject, processor('empty', subject).toFixed(0), processor('full', subject).toFixed(0)],
      ...atMost(processor('full', subject) / processor('empty', subject), FULL_TARGET),
    ]),
  ]);
}
