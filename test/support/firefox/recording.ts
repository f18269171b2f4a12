import type { IncomingMessage, Server, ServerResponse } from 'node:http';

/** One request that a server answered. */
export interface RecordedRequest {
  method: string;
  /** With the query. */
  path: string;
  status: number;
  /** From the first byte of the request that the server read to the last it wrote. */
  ms: number;
}

/** Every request to a server, from now on. */
export class Recording {
  readonly requests: RecordedRequest[] = [];
  private underWay = 0;
  private since = 0;
  private busy = 0;

  constructor(server: Server) {
    // First of all listeners, so that nothing is answered before the clock runs.
    server.prependListener('request', (request: IncomingMessage, reply: ServerResponse) => {
      this.record(request, reply);
    });
  }

  /** Milliseconds in which at least one request was under way. */
  get busyMs(): number {
    return this.busy;
  }

  /** Those whose path begins so, without the query. */
  of(method: string, path: string): RecordedRequest[] {
    return this.requests.filter(
      (request) => request.method === method && request.path.split('?')[0]?.startsWith(path),
    );
  }

  /** Begins anew. */
  clear(): void {
    this.requests.length = 0;
    this.busy = 0;
  }

  /** One line for each route and one for each status, with how often. */
  get transcript(): string {
    const statuses = countBy(this.requests, ({ status }) => String(status));
    const routes = countBy(
      this.requests,
      ({ method, path, status }) => `${status} ${method.padEnd(6)} ${routeOf(path)}`,
    );
    const total = `${this.requests.length} requests: ${lines(statuses).join(', ')}`;
    const spent = `${this.busy.toFixed(0)} ms while one was under way`;
    return [total, spent, ...lines(routes)].join('\n');
  }

  private record(request: IncomingMessage, reply: ServerResponse): void {
    const started = performance.now();
    const { method = '', url = '' } = request;
    if (this.underWay++ === 0) this.since = started;
    reply.once('close', () => {
      const now = performance.now();
      if (--this.underWay === 0) this.busy += now - this.since;
      this.requests.push({ method, path: url, status: reply.statusCode, ms: now - started });
    });
  }
}

/** Without what differs from one run to the next. */
function routeOf(path: string): string {
  const [plain = ''] = path.split('?');
  return plain
    .replace(/^(\/(?:storage\/)?1\.5)\/\d+/, '$1/…')
    .replace(/^(.*\/storage\/[a-z-]+)\/[^/]{12}$/, '$1/…');
}

function countBy<T>(items: readonly T[], name: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(name(item), (counts.get(name(item)) ?? 0) + 1);
  return counts;
}

const lines = (counts: Map<string, number>): string[] =>
  [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `${count} × ${name}`);
