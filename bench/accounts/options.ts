import { parseArgs } from 'node:util';

const PARTS = ['login', 'session', 'timing', 'crowd', 'stuffing', 'firefox'] as const;
type Part = (typeof PARTS)[number];

/** What `npm run bench -- accounts` was asked for. */
export interface Options {
  /** Which parts run. */
  parts: ReadonlySet<Part>;
  /** Length of one measurement; undefined for what each part thinks best. */
  seconds: number | undefined;
  /** Alternating measurements of each side, of which the median counts. */
  rounds: number;
}

const HELP = `npm run bench -- accounts [options]

All parts run when none is named.
  --login            a log-in beside one bare scrypt of the same cost
  --session          a call with a session beside a bare Fastify route with one read by primary key
  --timing           whether the time of an answer says that there is an account
  --crowd            100 log-ins at once, and the memory they take
  --stuffing         50 guesses a second, and what people notice of it
  --firefox          the journey of two Firefoxes, and the share of it spent in the server

  --seconds N        length of one measurement (2, and 20 for stuffing)
  --rounds N         alternating measurements, of which the median counts (5)

docs/benchmarks.md says what the numbers mean.
`;

/**
 * Reads the command line.
 *
 * @returns undefined when it asked for help, which is then printed
 * @throws TypeError for an option that does not exist, or a value that it cannot have
 */
export function readOptions(args: readonly string[]): Options | undefined {
  const flag = { type: 'boolean', default: false } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      help: { ...flag, short: 'h' },
      ...{ login: flag, session: flag, timing: flag, crowd: flag, stuffing: flag, firefox: flag },
      seconds: { type: 'string' },
      rounds: { type: 'string', default: '5' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return undefined;
  }
  const parts = PARTS.filter((part) => values[part]);
  return {
    parts: new Set(parts.length > 0 ? parts : PARTS),
    seconds: values.seconds === undefined ? undefined : count('seconds', values.seconds),
    rounds: count('rounds', values.rounds),
  };
}

function count(name: string, text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new TypeError(`--${name} is a whole number from 1 on.`);
  return Number(text);
}
