import { spawn } from 'node:child_process';

/** What a program left behind that ran to its end. */
export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program as somebody does without a terminal. Nothing of this process's environment reaches it but
 * the path.
 *
 * @param onStderr - called with all that it said on standard error, whenever it says more
 */
export function runProgram(
  program: string,
  parameters: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  onStderr: (said: string) => void = () => undefined,
): Promise<Ran> {
  const child = spawn(process.execPath, [program, ...parameters], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ran: Ran = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (ran.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    ran.stderr += chunk.toString();
    onStderr(ran.stderr);
  });
  return new Promise((done, failed) => {
    child.once('error', failed);
    child.once('close', (code) => {
      done({ ...ran, code });
    });
  });
}

/** As `runProgram`. @param program - below dist/ */
export const runBuilt = (
  program: string,
  ...rest: [parameters: readonly string[], environment?: Readonly<Record<string, string>>]
): Promise<Ran> => runProgram(`dist/${program}`, ...rest);

/** The command line, with a home folder of its own. */
export class CommandLine {
  constructor(
    private readonly home: string,
    private readonly environment: Readonly<Record<string, string>> = {},
  ) {}

  run(...parameters: readonly string[]): Promise<Ran> {
    const environment = { XDG_CONFIG_HOME: this.home, ...this.environment };
    return runBuilt('apps/cli/src/main.js', parameters, environment);
  }

  /** Runs it with `--json`, and reads the one line that it prints. @throws Error when it fails */
  async json<T>(...parameters: readonly string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run('--json', ...parameters);
    if (code !== 0) throw new Error(`lockstep ${parameters.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }
}
