import { parseArgs } from 'node:util';

/** What `npm run bench -- sync` was asked for. */
export interface Options {
  /** Which parts run. */
  parts: ReadonlySet<'sql' | 'http' | 'beside'>;
  /** Letters of the scenarios of the HTTP part. */
  scenarios: ReadonlySet<string>;
  /** Length of one measurement; undefined for what each part thinks best. */
  seconds: number | undefined;
  /** Alternating measurements of each side, of which the median counts. */
  rounds: number;
  /** Records in the tables before the SQL part. */
  rows: number;
  /** Stores that there are before the HTTP part. */
  users: number;
  /** Concurrent requests or connections. */
  clients: number;
  /** Records that one client downloads while the server's memory is watched. */
  download: number;
}

const LETTERS = ['A', 'B', 'C', 'D', 'E', 'F', 'H', 'I', 'M'];

const HELP = `npm run bench -- sync [options]

Three parts; all of them run when none is named.
  --sql              our statements beside the "rs SQL shape", by pgbench
  --http             workload A and scenarios over HTTP, every reply verified
  --beside           three operations beside a bare Fastify route with our statement

  --scenario A,B     of the HTTP part: ${LETTERS.join(', ')}
  --seconds N        length of one measurement (2, and 10 in the HTTP part)
  --rounds N         alternating measurements, of which the median counts (5)
  --rows N           records before the SQL part (500000)
  --users N          stores before the HTTP part (200)
  --clients N        concurrent requests or connections (8)
  --download N       records that one client of M downloads (100000)

docs/benchmarks.md says what the numbers mean.
`;

/**
 * Reads the command line.
 *
 * @returns undefined when it asked for help, which is then printed
 * @throws TypeError for an option that does not exist, or a value that it cannot have
 */
export function readOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      sql: { type: 'boolean', default: false },
      http: { type: 'boolean', default: false },
      beside: { type: 'boolean', default: false },
      scenario: { type: 'string', default: LETTERS.join(',') },
      seconds: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      rows: { type: 'string', default: '500000' },
      users: { type: 'string', default: '200' },
      clients: { type: 'string', default: '8' },
      download: { type: 'string', default: '100000' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return undefined;
  }
  const parts = (['sql', 'http', 'beside'] as const).filter((part) => values[part]);
  const scenarios = values.scenario.toUpperCase().split(',');
  const unknown = scenarios.find((letter) => !LETTERS.includes(letter));
  if (unknown !== undefined) throw new TypeError(`There is no scenario ${unknown}. See --help.`);
  return {
    parts: new Set(parts.length > 0 ? parts : ['sql', 'http', 'beside']),
    scenarios: new Set(scenarios),
    seconds: values.seconds === undefined ? undefined : count('seconds', values.seconds),
    rounds: count('rounds', values.rounds),
    rows: count('rows', values.rows),
    users: count('users', values.users),
    clients: count('clients', values.clients),
    download: count('download', values.download),
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,7}$/.test(text)) throw new TypeError(`--${name} is a whole number from 1 on.`);
  return Number(text);
}
