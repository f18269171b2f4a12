import { Load } from './load.ts';
import type { Options } from './options.ts';
import { say } from './report.ts';
import { PURGE_SECONDS, type Scenario, scenarios, type Stage } from './scenarios.ts';
import { fillUsual } from './seed.ts';
import { ServerUnderTest } from './server-under-test.ts';

const MEMORY_MAX = 200e6;
const COLUMNS = [
  ...['requests/s', 'p50 ms', 'p95 ms', 'p99 ms', 'failures'],
  ...['CPU server', 'CPU db', 'RSS MB', 'statements'],
];

/** Workload A and the scenarios, one after the other, against the built server. */
export async function benchHttp(options: Options): Promise<void> {
  const { users, clients, seconds = 10 } = options;
  const server = await ServerUnderTest.start({
    STORAGE_PURGE_SECONDS: String(PURGE_SECONDS),
    STORAGE_USER_QUOTA_BYTES: String(2 ** 40), // so that both quotas are counted
  });
  const load = new Load(server.origin, server.secret);
  try {
    say(`HTTP: ${users} stores, ${clients} requests at a time, scenarios of ${seconds} s;`);
    say('CPU: seconds per 1,000 requests; RSS: peak of the server; statements: per request', '');
    await fillUsual(server, users);
    row('', COLUMNS);
    for (const scenario of scenarios) {
      if (options.scenarios.has(scenario.letter)) {
        await measure(scenario, { server, load, options }, seconds);
      }
    }
    say('');
  } finally {
    load.close();
    await server.stop();
  }
}

async function measure(
  { letter, label, prepare, run }: Scenario,
  parts: Omit<Stage, 'isOver'>,
  seconds: number,
): Promise<void> {
  const { server, load } = parts;
  let end = Infinity;
  const stage = { ...parts, isOver: () => performance.now() >= end };
  await prepare?.(stage);
  load.reset();
  await server.forgetMemoryPeak();
  const before = await server.usage();
  const started = performance.now();
  end = started + seconds * 1000;
  const remark = await run(stage);
  const lasted = (performance.now() - started) / 1000;
  const after = await server.usage();
  const memory = await server.memoryPeak();

  const { meter } = load;
  const per = (used: number, unit: number, digits: number) =>
    ((used * unit) / Math.max(1, meter.requests)).toFixed(digits);
  row(`${letter} ${label}`, [
    (meter.requests / lasted).toFixed(0),
    ...meter.latencies,
    String(meter.failureCount),
    per(after.server - before.server, 1000, 2),
    per(after.database - before.database, 1000, 2),
    (memory / 1e6).toFixed(0),
    per(after.statements - before.statements, 1, 2),
  ]);
  if (letter === 'M') say(`    below 200 MB: ${memory < MEMORY_MAX ? 'met' : 'MISSED'}`);
  if (remark !== undefined) say(`    ${remark}`);
  say(...meter.failureLines);
}

/** Printed as they come: a run takes minutes. */
function row(label: string, cells: readonly string[]): void {
  say(label.padEnd(32) + cells.map((cell) => cell.padStart(11)).join(''));
}
