/**
 * What one scope of Firefox Accounts says about another (accounts.md §7, "Scope grammar").
 *
 * A short scope is `a:b:c`, for reading, or with `:write` at its end for both. A URL scope is an
 * absolute https address and means everything below it; a fragment narrows it. The scopes that this
 * project made up follow no such rules: they are compared as they are.
 *
 * @module
 */

/** The scopes in a space-separated list, each once. */
export function scopesIn(list: string): string[] {
  return [...new Set(list.split(' ').filter((scope) => scope !== ''))];
}

/** Whether whoever holds these scopes has this one, too: one of them must imply it. */
export function scopesImply(held: Iterable<string>, asked: string): boolean {
  for (const scope of held) if (implies(scope, asked)) return true;
  return false;
}

function implies(held: string, asked: string): boolean {
  const [url, askedUrl] = [asUrl(held), asUrl(asked)];
  if (url && askedUrl) {
    return (
      url.origin === askedUrl.origin &&
      isPrefix(url.pathname.split('/'), askedUrl.pathname.split('/')) &&
      (url.hash === '' || url.hash === askedUrl.hash)
    );
  }
  const [parts, askedParts] = [asShort(held), asShort(asked)];
  if (!parts || !askedParts) return false;
  const canWrite = parts.at(-1) === 'write';
  if (askedParts.at(-1) === 'write' && !canWrite) return false;
  return isPrefix(canWrite ? parts.slice(0, -1) : parts, askedParts);
}

function asShort(scope: string): string[] | undefined {
  return /^\w+(?::\w+)*$/.test(scope) ? scope.split(':') : undefined;
}

/** Undefined for an address that is spelled in another way than a browser would. */
function asUrl(scope: string): URL | undefined {
  if (!/^https:\/\/[^?@]*[^?@#]$/.test(scope) || !URL.canParse(scope)) return undefined;
  const url = new URL(scope);
  return url.href === scope && /^(?:#\w+)?$/.test(url.hash) ? url : undefined;
}

const isPrefix = (parts: string[], whole: string[]) => parts.every((part, i) => part === whole[i]);
