import { parseArgs } from 'node:util';

/** What `npm run bench -- keys` was asked for. */
export interface Options {
  /** Length of one measurement. */
  seconds: number;
  /** Alternating measurements of each side, of which the median counts. */
  rounds: number;
  /** Published keys that look-ups are measured among; none beyond 1,000 when it is that. */
  members: number;
}

const HELP = `npm run bench -- keys [options]

  --seconds N        length of one measurement (1)
  --rounds N         alternating measurements, of which the median counts (5)
  --members N        published keys that look-ups are measured among at the end (1000000)

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
      help: { type: 'boolean', default: false, short: 'h' },
      seconds: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      members: { type: 'string', default: '1000000' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return undefined;
  }
  return {
    seconds: count('seconds', values.seconds),
    rounds: count('rounds', values.rounds),
    members: count('members', values.members),
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new TypeError(`--${name} is a whole number from 1 on.`);
  return Number(text);
}
