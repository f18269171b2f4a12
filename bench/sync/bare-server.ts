import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { processorSeconds } from './server-under-test.ts';

/** Bare routes, in a process of their own like the server's. */
export class BareServer {
  private constructor(
    readonly origin: string,
    private readonly process: ChildProcess,
  ) {}

  /**
   * @param main - of the program, which writes its address to stdout
   * @throws Error when it ends instead of starting; why is on stderr
   */
  static async start(databaseUrl: string, main: URL): Promise<BareServer> {
    const child = spawn(process.execPath, [fileURLToPath(main)], {
      env: {
        ...{ PATH: process.env['PATH'], NODE_ENV: 'production', DATABASE_URL: databaseUrl },
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit').then(() => {
      throw new Error('The bare server did not start.');
    });
    const [line] = (await Promise.race([once(child.stdout, 'data'), ended])) as [Buffer];
    ended.catch(() => undefined); // it is asked to, later
    return new BareServer(line.toString().trim(), child);
  }

  /** Processor seconds, since it began. */
  usage(): Promise<number> {
    return processorSeconds(this.process.pid ?? 0);
  }

  async stop(): Promise<void> {
    const ended = once(this.process, 'exit');
    this.process.kill('SIGTERM');
    await ended;
  }
}
