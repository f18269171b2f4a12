/** As much of a browser as the authorization flow needs: cookies by path, redirects by hand. */
export class Browser {
  private jar: { name: string; value: string; path: string }[] = [];

  async go(url: string | URL, init: RequestInit = {}): Promise<Response> {
    const { pathname } = new URL(url);
    const cookie = this.jar
      .filter(({ path }) => pathname === path || pathname.startsWith(path.replace(/\/?$/, '/')))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
    const headers = new Headers(init.headers);
    if (cookie) headers.set('cookie', cookie);
    const response = await fetch(url, { ...init, redirect: 'manual', headers });
    for (const line of response.headers.getSetCookie()) this.keep(line);
    return response;
  }

  /** The value of a cookie; empty when there is none of this name. */
  cookie(name: string): string {
    return this.jar.find((cookie) => cookie.name === name)?.value ?? '';
  }

  private keep(line: string): void {
    const [pair = '', ...attributes] = line.split('; ');
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const path = attributes.find((attribute) => attribute.startsWith('path='))?.slice(5) ?? '/';
    this.jar = this.jar.filter((cookie) => cookie.name !== name || cookie.path !== path);
    if (value) this.jar.push({ name, value, path });
  }
}
