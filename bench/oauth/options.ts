import { parseArgs } from 'node:util';

/** What `npm run bench -- oauth` was asked for. */
export interface Options {
  /** Length of one measurement. */
  seconds: number;
  /** Alternating measurements of each side, of which the median counts. */
  rounds: number;
  /** In the full database. */
  apps: number;
  tokens: number;
}

const HELP = `npm run bench -- oauth [options]

  --seconds N        length of one measurement (2)
  --rounds N         alternating measurements, of which the median counts (7)
  --apps N           apps in the full database (1000)
  --tokens N         live tokens in it (100000)

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
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '7' },
      apps: { type: 'string', default: '1000' },
      tokens: { type: 'string', default: '100000' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return undefined;
  }
  return {
    seconds: count('seconds', values.seconds),
    rounds: count('rounds', values.rounds),
    apps: count('apps', values.apps),
    tokens: count('tokens', values.tokens),
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new TypeError(`--${name} is a whole number from 1 on.`);
  return Number(text);
}
