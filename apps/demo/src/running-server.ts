import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../server/src/main.js', import.meta.url));
const PATIENCE_MS = 60_000;

/** A server of the demo's own, on a free port. */
export class RunningServer {
  private constructor(
    readonly url: string,
    readonly dataDir: string,
    private readonly process: ChildProcess,
    private readonly isTemporary: boolean,
  ) {}

  /**
   * Starts the server and waits until it answers.
   *
   * @param dataDir - kept; without it, a temporary folder that goes away with the server
   * @param environment - goes over this process's own
   * @throws Error with the server's own words when it does not start
   */
  static async start(
    dataDir?: string,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<RunningServer> {
    const folder = dataDir ?? (await mkdtemp(join(tmpdir(), 'lockstep-demo-')));
    const port = await freePort();
    const logs = join(folder, 'logs');
    await mkdir(logs, { recursive: true, mode: 0o700 });
    const child = spawn(process.execPath, ['--enable-source-maps', MAIN], {
      env: {
        ...process.env,
        ...environment,
        ...{ HOST: 'localhost', PORT: String(port), PUBLIC_URL: `http://localhost:${port}` },
        ...{ DATA_DIR: folder, LOG_FORMAT: 'json' },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = createWriteStream(join(logs, 'output.log'), { flags: 'a', mode: 0o600 });
    let complaint = '';
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-4000);
    });
    const server = new RunningServer(
      `http://localhost:${port}`,
      folder,
      child,
      dataDir === undefined,
    );
    const until = Date.now() + PATIENCE_MS;
    while (Date.now() < until) {
      if (child.exitCode !== null) break;
      if (await answers(server.url)) return server;
      await pause(100);
    }
    await server.stop();
    throw new Error(`The server did not start. ${complaint.trim()}`);
  }

  /** Of the server's process. */
  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** Stops the server as an operator would, and removes a temporary folder. */
  async stop(): Promise<void> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const ended = new Promise((done) => this.process.once('exit', done));
      this.process.kill('SIGTERM');
      await ended;
    }
    if (this.isTemporary) await rm(this.dataDir, { recursive: true, force: true });
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false;
  }
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => {
        found(port);
      });
    });
  });
}
