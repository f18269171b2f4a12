import * as fs from 'node:fs';
import { join } from 'node:path';
import { ConsoleLogger, type LogLevel } from '@nestjs/common';

/** Beyond this size the log file of the last run is set aside at boot. */
const fileBytesMax = 10 * 1024 * 1024;

/** What Nest says about itself while it starts, which tells an operator nothing. */
const chatter = new Set([
  'NestFactory',
  'NestApplication',
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
]);
/** What Nest says about a failed start, with a stack; `main.ts` says it in one line. */
const bootReports = new Set(['ExceptionHandler', 'NestApplication', 'TypeOrmModule']);

type Json = Record<string, unknown>;

/**
 * The server's log: one JSON object per line, or readable lines for a terminal; with `folder`,
 * also JSON in `<folder>/logs/server.log`. An event is a plain object with the field `event`.
 * Nothing that is logged may hold a secret, a mail address or the address of a caller.
 */
export class Logs extends ConsoleLogger {
  isBooting = true;
  private readonly file: fs.WriteStream | undefined;
  private unwritten = '';

  constructor({ format, folder }: { format: 'json' | 'text'; folder?: string | undefined }) {
    super({
      json: format === 'json',
      prefix: 'lockstep',
      logLevels: ['fatal', 'error', 'warn', 'log'],
    });
    // Whoever read the log has gone, which is no reason to end; and to log it would be the next one.
    for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
    if (folder !== undefined) this.file = openLogFile(join(folder, 'logs'));
  }

  get isJson(): boolean {
    return this.options.json === true;
  }

  /**
   * There is an event for every request, and the base class takes several times as long for the same
   * line. Those of one turn of the event loop are written together.
   */
  override log(message: unknown, ...more: unknown[]): void {
    const [context, ...others] = more;
    const isPlain = this.isJson && typeof context === 'string' && others.length === 0;
    if (!isPlain || !isEvent(message)) {
      super.log(message, ...more);
      return;
    }
    if (!this.isLevelEnabled('log')) return;
    const options = { context, logLevel: 'log' } as const;
    if (this.unwritten === '')
      setImmediate(() => {
        this.write();
      });
    this.unwritten += `${JSON.stringify(this.getJsonLogObject(message, options))}\n`;
  }

  /** Resolves when the file holds every line. */
  close(): Promise<void> {
    this.write();
    return new Promise((done) => {
      if (this.file) this.file.end(done);
      else done();
    });
  }

  protected override printMessages(
    messages: unknown[],
    context = '',
    level: LogLevel = 'log',
    stream?: 'stdout' | 'stderr',
    stack?: unknown,
    params?: Json,
  ): void {
    this.write(); // what came before
    if (level === 'log' && chatter.has(context)) return;
    if (this.isBooting && bootReports.has(context)) return;
    const shown = this.isJson ? messages : messages.map(asSentence);
    super.printMessages(shown, context, level, stream, stack, params);
    for (const message of this.file ? messages : []) {
      const line = this.getJsonLogObject(message, {
        context,
        logLevel: level,
        ...(stack !== undefined && { errorStack: stack }),
      });
      this.file?.write(`${JSON.stringify(line)}\n`);
    }
  }

  private write(): void {
    const lines = this.unwritten;
    if (lines === '') return;
    this.unwritten = '';
    process.stdout.write(lines);
    this.file?.write(lines);
  }

  /** Events lie flat beside level and time, so that `jq .event` finds them. */
  protected override getJsonLogObject(
    message: unknown,
    options: Parameters<ConsoleLogger['getJsonLogObject']>[1],
  ): ReturnType<ConsoleLogger['getJsonLogObject']> {
    return isEvent(message)
      ? { ...super.getJsonLogObject(message.event, options), ...message }
      : super.getJsonLogObject(message, options);
  }
}

function isEvent(message: unknown): message is Json & { event: string } {
  return (
    typeof message === 'object' && message !== null && typeof (message as Json).event === 'string'
  );
}

/** `request GET /keys/v1/list 200 3 ms`; other events as `event name=value …`. */
function asSentence(message: unknown): unknown {
  if (!isEvent(message)) return message;
  const { event, ...fields } = message;
  if (event === 'request') {
    const { method, route, status, ms } = fields;
    return `${String(method)} ${String(route)} ${String(status)} ${String(ms)} ms`;
  }
  const values = Object.entries(fields).map(([name, value]) => `${name}=${String(value)}`);
  return [event, ...values].join(' ');
}

function openLogFile(folder: string): fs.WriteStream {
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, 'server.log');
  if (fs.existsSync(path) && fs.statSync(path).size > fileBytesMax) {
    fs.renameSync(path, `${path}.1`);
  }
  const file = fs.createWriteStream(path, { flags: 'a', mode: 0o600 });
  // A full disk costs the log, not the server.
  file.on('error', () => undefined);
  return file;
}
