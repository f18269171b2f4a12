/** Of a value that is a secret, enough to tell it from others. */
const SHOWN = 8;
const LONG = /^[\w.~+/=-]{33,}$/;

/**
 * A `fetch` that writes down what was asked and answered, with secrets shortened: what `OAUTH_TRANSCRIPT=1`
 * prints.
 */
export class Transcript {
  readonly #lines: string[] = [];

  constructor(private readonly title: string) {}

  /** Begins a part. */
  part(name: string): void {
    this.#lines.push('', `## ${name}`);
  }

  /** What both clients take as their fetch. */
  readonly fetch = async (url: string, init?: object): Promise<Response> => {
    const { method = 'GET', body, headers } = (init ?? {}) as RequestInit;
    const response = await fetch(url, init);
    const text = await response.clone().text();
    const { pathname, search } = new URL(url);
    const sent = new Headers(headers);
    const proved = ['authorization', 'dpop']
      .filter((name) => sent.has(name))
      .map((name) => `${name}: ${shorten(sent.get(name) ?? '')}`);
    const form = body instanceof URLSearchParams ? decoded(body) : '';
    const lines = [`${method} ${pathname}${search && '?…'}`, ...proved, form].filter(Boolean);
    this.#lines.push('', ...lines, `→ ${response.status} ${answered(text)}`);
    return response;
  };

  /** Prints it when it is asked for, else a line. */
  print(): void {
    const count = this.#lines.filter((line) => line.startsWith('→')).length;
    const isWanted = process.env['OAUTH_TRANSCRIPT'] !== undefined;
    const whole = [`# ${this.title}`, ...this.#lines].join('\n');
    process.stderr.write(`${isWanted ? whole : `${this.title}: ${count} answers`}\n`);
  }
}

const decoded = (form: URLSearchParams) =>
  [...form].map(([name, value]) => `${name}=${shorten(value)}`).join('&');

function answered(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), (_, value: unknown) =>
      typeof value === 'string' ? shorten(value) : value,
    );
  } catch {
    return text && `${text.length} characters`;
  }
}

function shorten(value: string): string {
  return value
    .split(' ')
    .map((word) => (LONG.test(word) ? `${word.slice(0, SHOWN)}…` : word))
    .join(' ');
}
