import { readFile, writeFile } from 'node:fs/promises';

/** Where the transcripts stand for people to read. */
const DOCUMENT = new URL('../../docs/protocol/oauth-transcripts.md', import.meta.url);
/** Of a value that is a secret, enough to tell it from others. */
const SHOWN = 8;
const LONG = /^[\w.~+/=-]{33,}$/;

/** One request and its answer, as the document has it. */
interface Exchange {
  /** Method and path, what the headers prove, and the form. */
  asked: string[];
  status: number;
  /** JSON, or a few words about it. */
  answered: string;
}

interface Part {
  name: string;
  exchanges: Exchange[];
}

/**
 * A `fetch` that takes down what was asked and answered, with secrets shortened, and holds it against
 * the document; with `OAUTH_TRANSCRIPT=1` it writes it there instead.
 */
export class Transcript {
  readonly #parts: Part[] = [];

  /** @param title - its heading in the document */
  constructor(private readonly title: string) {}

  /** Begins a part. */
  part(name: string): void {
    this.#parts.push({ name, exchanges: [] });
  }

  /** What both clients take as their fetch. */
  readonly fetch = async (url: string, init?: object): Promise<Response> => {
    const { method = 'GET', body, headers } = (init ?? {}) as RequestInit;
    const response = await fetch(url, init);
    const text = await response.clone().text();
    const { origin, pathname, search } = new URL(url);
    const sent = new Headers(headers);
    const proved = ['authorization', 'dpop']
      .filter((name) => sent.has(name))
      .map((name) => `${name}: ${shorten(sent.get(name) ?? '')}`);
    const form = body instanceof URLSearchParams ? decoded(body) : '';
    if (this.#parts.length === 0) this.part('before');
    this.#parts.at(-1)?.exchanges.push({
      asked: [`${method} ${pathname}${search && '?…'}`, ...proved, form].filter(Boolean),
      status: response.status,
      answered: answered(text).replaceAll(origin, 'https://lockstep.example'),
    });
    return response;
  };

  /** @throws Error that names the first difference in who asked what, and what came back */
  async compare(): Promise<void> {
    const text = await readFile(DOCUMENT, 'utf8');
    const [begin, end] = placeOf(`## ${this.title}\n`, '\n## ', text);
    if (process.env['OAUTH_TRANSCRIPT'] !== undefined) {
      const whole = [`## ${this.title}\n`, ...this.#parts.map(print)].join('\n');
      await writeFile(DOCUMENT, text.slice(0, begin) + whole + text.slice(end));
      return;
    }
    const documented = text.slice(begin, end);
    // Those that ran: it may have been one test alone.
    for (const part of this.#parts) {
      const place = placeOf(`### ${part.name}\n`, '\n### ', documented);
      expect(namesIn(print(part))).toEqual(namesIn(documented.slice(...place)));
    }
  }
}

function placeOf(heading: string, next: string, text: string): [begin: number, end: number] {
  const begin = text.indexOf(heading);
  if (begin === -1) throw new Error(`The document lacks ${heading}`);
  const end = text.indexOf(next, begin);
  return [begin, end === -1 ? text.length : end];
}

function print({ name, exchanges }: Part): string {
  const shown = exchanges.map(({ asked, status, answered }) =>
    [...asked, `→ ${status} ${answered}`.trim()].join('\n'),
  );
  return `### ${name}\n\n\`\`\`text\n${shown.join('\n\n')}\n\`\`\`\n`;
}

/** All but the values, which are others in each run: methods, paths, names of parameters and members, statuses. */
function namesIn(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [, status, json] = /^→ (\d{3}) ?(.*)$/.exec(line) ?? [];
      if (status !== undefined) {
        const members = [...(json ?? '').matchAll(/"(\w[\w-]*)":/g)].map(([, name]) => name);
        return [`→ ${status}`, ...members].join(' ');
      }
      if (/^[\w-]+: /.test(line))
        return line
          .split(' ', 2)
          .join(' ')
          .replace(/: ([A-Z]\w+)?.*$/, ': $1');
      return /^\w+=/.test(line)
        ? line
            .split('&')
            .map((pair) => pair.split('=')[0])
            .join('&')
        : line;
    });
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
