/** Changes one kind of answer. */
interface Lie {
  method: string;
  path: RegExp;
  tell: (answer: Buffer) => BodyInit | Promise<BodyInit>;
}

/**
 * A server that lies: a `fetch` for the client that passes its requests on to the real server, and alters the
 * answers. The latest lie about an answer counts.
 */
export class Liar {
  private lies: Lie[] = [];

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    const response = await fetch(input, init);
    const lie = this.lies.find(
      ({ method, path }) => method === (init?.method ?? 'GET') && path.test(pathname),
    );
    if (!lie) return response;
    const body = await lie.tell(Buffer.from(await response.arrayBuffer()));
    const headers = new Headers(response.headers);
    headers.delete('content-length');
    return new Response(body, { status: response.status, headers });
  };

  /** Alters JSON answers; `change` gets the true one, to return it or another. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows the answer it alters
  alter(method: string, path: RegExp, change: (answer: any) => unknown): void {
    this.alterBytes(method, path, async (answer) =>
      JSON.stringify(await change(JSON.parse(answer.toString()))),
    );
  }

  /** Alters answers that are no JSON. */
  alterBytes(method: string, path: RegExp, tell: Lie['tell']): void {
    this.lies.unshift({ method, path, tell });
  }

  /** Tells the truth from now on. */
  repent(): void {
    this.lies = [];
  }
}
