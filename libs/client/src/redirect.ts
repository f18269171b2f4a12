/**
 * Tells whether an address is an app's redirect URI, whatever the query says. A prefix would not do: to
 * `https://app.example` belongs `https://app.example.evil.example` as little as another path.
 *
 * @param redirectUri - as the app is registered; empty for none
 */
export function isRedirectTo(url: string, redirectUri: string): boolean {
  if (!URL.canParse(url) || !URL.canParse(redirectUri)) return false;
  const [one, other] = [new URL(url), new URL(redirectUri)];
  const isSamePlace = one.protocol === other.protocol && one.host === other.host;
  return isSamePlace && one.pathname === other.pathname && one.username === '';
}
