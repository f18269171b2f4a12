/** Changes one kind of answer. */
interface Lie {
  method: string;
  path: RegExp;
  tell: (answer: Buffer) => BodyInit | Promise<BodyInit>;
  /** The status of the answer, when the lie changes it. */
  status?: number | undefined;
  headers?: Readonly<Record<string, string>> | undefined;
}

/**
 * A server that lies: a `fetch` for the client that passes its requests on to the real server, and alters the
 * answers. The latest lie about an answer counts.
 */
export class Liar {
  private lies: Lie[] = [];
  /** Every request that was answered, and with which status; not those that a lie was told about. */
  readonly answered: { method: string; path: string; status: number }[] = [];
  private ambush: { path: RegExp; strike: (pathname: string) => Promise<unknown> } | undefined;

  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    const { pathname } = new URL(input instanceof Request ? input.url : input);
    if (this.ambush?.path.test(pathname) === true) {
      const { strike } = this.ambush;
      this.ambush = undefined;
      await strike(pathname);
    }
    const lie = this.lies.find(
      ({ method, path }) => method === (init?.method ?? 'GET') && path.test(pathname),
    );
    if (!lie) {
      const response = await fetch(input, init);
      const method = init?.method ?? 'GET';
      this.answered.push({ method, path: pathname, status: response.status });
      return response;
    }
    // A lie needs a whole answer, not a word that nothing changed.
    const asked = new Headers(init?.headers);
    if (lie.method === 'GET') asked.delete('if-none-match');
    const response = await fetch(input, { ...init, headers: asked });
    const body = await lie.tell(Buffer.from(await response.arrayBuffer()));
    const headers = new Headers(response.headers);
    headers.delete('content-length');
    headers.delete('etag');
    for (const [name, value] of Object.entries(lie.headers ?? {})) headers.set(name, value);
    return new Response(body, { status: lie.status ?? response.status, headers });
  };

  /** Alters JSON answers; `change` gets the true one, to return it or another. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows the answer it alters
  alter(method: string, path: RegExp, change: (answer: any) => unknown): void {
    this.alterBytes(method, path, async (answer) =>
      JSON.stringify(await change(JSON.parse(answer.toString()))),
    );
  }

  /** Answers something else altogether, whatever the server said; 200 unless told otherwise. */
  answer(
    method: string,
    path: RegExp,
    body: () => unknown,
    { status = 200, headers }: Pick<Lie, 'status' | 'headers'> = {},
  ): void {
    const tell = () => JSON.stringify(body());
    this.lies.unshift({ method, path, tell, status, headers });
  }

  /** Alters answers that are no JSON. */
  alterBytes(method: string, path: RegExp, tell: Lie['tell']): void {
    this.lies.unshift({ method, path, tell });
  }

  /** Does something else just before the next request to this path, once. */
  before(path: RegExp, strike: (pathname: string) => Promise<unknown>): void {
    this.ambush = { path, strike };
  }

  /** Tells the truth from now on. */
  repent(): void {
    this.lies = [];
    this.ambush = undefined;
  }
}
