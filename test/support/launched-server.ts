import { type ChildProcess, spawn } from 'node:child_process';

/** The built server in a process of its own, as an operator runs it, without a terminal. */
export class LaunchedServer {
  stdout = '';
  stderr = '';
  /** Resolves with the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
  private static readonly launched: LaunchedServer[] = [];
  private readonly watchers = new Set<() => void>();

  private constructor(
    readonly process: ChildProcess,
    readonly url: string,
  ) {
    process.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
      for (const watcher of this.watchers) watcher();
    });
    process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.ended = new Promise((done) => {
      process.once('close', (code, signal) => {
        done(code ?? signal ?? 'SIGKILL');
        for (const watcher of this.watchers) watcher();
      });
    });
  }

  /** What a test that failed left running, which would keep Jest from ending. */
  static killAll(): void {
    for (const { process } of LaunchedServer.launched) process.kill('SIGKILL');
  }

  /**
   * Nothing of this process's environment reaches it but the path.
   *
   * @param through - a command that becomes the one that follows it
   */
  static start(
    environment: Record<string, string> & { PORT: string },
    through: readonly string[] = [],
  ): LaunchedServer {
    const [program, ...rest] = [...through, process.execPath, 'dist/apps/server/src/main.js'];
    const child = spawn(program, rest, {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const server = new LaunchedServer(child, `http://localhost:${environment.PORT}`);
    LaunchedServer.launched.push(server);
    return server;
  }

  /** The first log line with this event. */
  async event(name: string): Promise<Record<string, unknown>> {
    const has = () => this.events().find(({ event }) => event === name);
    await new Promise<void>((done, failed) => {
      const watcher = () => {
        if (has()) done();
        else if (this.process.exitCode !== null || this.process.signalCode !== null) {
          failed(new Error(`ended without "${name}": ${this.stderr}${this.stdout}`));
        } else return;
        this.watchers.delete(watcher);
      };
      this.watchers.add(watcher);
      watcher();
    });
    return has() ?? {};
  }

  /** Every whole line of the log. */
  events(): Record<string, unknown>[] {
    const whole = this.stdout.slice(0, this.stdout.lastIndexOf('\n') + 1);
    return whole
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  /** Ends it, and resolves when it has ended. */
  stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals> {
    this.process.kill(signal);
    return this.ended;
  }
}
