/** The cookies of one authorization, by path (RFC 6265 §5.4). One server, so no domains. */
export class CookieJar {
  readonly #cookies = new Map<string, { name: string; value: string; path: string }>();

  /** Keeps what an answer to this URL sets, and drops what it clears. */
  take(url: string, headers: Headers): void {
    for (const line of headers.getSetCookie()) {
      const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
      const split = pair.indexOf('=');
      if (split < 1) continue;
      const [name, value] = [pair.slice(0, split), pair.slice(split + 1)];
      const valueOf = (attribute: string) =>
        attributes
          .find((text) => text.toLowerCase().startsWith(`${attribute}=`))
          ?.slice(attribute.length + 1);
      const path = valueOf('path') ?? (new URL(url).pathname.replace(/\/[^/]*$/, '') || '/');
      const key = `${path} ${name}`;
      const isGone = valueOf('max-age') === '0' || Date.parse(valueOf('expires') ?? '') === 0;
      if (isGone) this.#cookies.delete(key);
      else this.#cookies.set(key, { name, value, path });
    }
  }

  /** The Cookie header for a request to this URL; empty when there is nothing to send. */
  headersFor(url: string): Record<string, string> {
    const { pathname } = new URL(url);
    const matches = [...this.#cookies.values()].filter(
      ({ path }) =>
        pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`),
    );
    if (matches.length === 0) return {};
    return { cookie: matches.map(({ name, value }) => `${name}=${value}`).join('; ') };
  }
}
