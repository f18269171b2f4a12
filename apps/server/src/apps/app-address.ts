import { Failure } from '#lib/protocol';

/** What may stand in an address as it is. Another alphabet is spelled in Punycode. */
const PRINTABLE = /^[!#-;=?-[\]_a-z~]+$/;
/** An encoded slash, backslash, dot, percent sign or control: what one reader decodes, another does not. */
const HIDDEN = /%(?:2[ef5]|5c|[01][0-9a-f]|7f)/i;
/** The server adds these itself. */
const ANSWERS = ['code', 'state', 'iss', 'error', 'error_description', 'response', 'id_token'];
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);
/** RFC 8252 §7.1: a scheme that is the app's own begins with a name in its hands, `com.example.app`. */
const OWN_SCHEME = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9][a-z0-9+-]*)+:$/;

/**
 * Reads an address that others will compare letter by letter, and that a browser, a library and a
 * person are to read alike: it is in the form that a browser would give it.
 *
 * @throws Failure `invalid-parameter`
 */
function parse(field: string, text: string): URL {
  const refuse = (why: string): never => {
    throw new Failure('invalid-parameter', `${field}: ${why}`);
  };
  if (!PRINTABLE.test(text) || !URL.canParse(text)) refuse('This is no address.');
  const url = new URL(text);
  if (text.includes('#')) refuse('An address has no fragment here.');
  if (text.includes('*')) refuse('An address is exact, without wildcards.');
  if (url.username !== '' || url.password !== '') refuse('An address has no user name.');
  if (HIDDEN.test(text)) refuse('An address hides nothing in percent signs.');
  const isPlain = url.href === text || (url.pathname === '/' && url.href === `${text}/`);
  if (!isPlain) refuse(`Write it as browsers do: ${url.href}`);
  if (url.pathname.includes('//') || /(?:^|\/)\.\./.test(url.pathname)) {
    refuse('A path goes straight down.');
  }
  if (url.hostname.endsWith('.')) refuse('A host ends without a dot.');
  return url;
}

/**
 * An address that an app's users are sent to with a code.
 *
 * @param origin - of this server, which is no app's
 * @throws Failure `invalid-parameter`
 */
export function checkRedirectUri(text: string, type: 'web' | 'native', origin: string): string {
  const url = parse('redirect_uris', text);
  const refuse = (why: string) => {
    throw new Failure('invalid-parameter', `redirect_uris: ${why}`);
  };
  if (url.origin === origin) refuse('This is an address of the server itself.');
  for (const name of ANSWERS) {
    if (url.searchParams.has(name)) refuse(`The server adds ${name} itself.`);
  }
  const isLoopback = LOOPBACK.has(url.hostname);
  if (url.protocol === 'https:') {
    if (type === 'native' && isLoopback) refuse('On this computer, a native app uses http.');
  } else if (type === 'web') {
    refuse('The address of a web app begins with https://.');
  } else if (url.protocol === 'http:') {
    if (!isLoopback) refuse('Plain http is for 127.0.0.1, [::1] and localhost.');
  } else if (!OWN_SCHEME.test(url.protocol) || !url.pathname.startsWith('/')) {
    refuse('A scheme of one’s own is a name turned around: com.example.app:/path');
  }
  return text;
}

/** A page that people are shown a link to. @throws Failure `invalid-parameter` */
export function checkLink(field: string, text: string): string {
  if (parse(field, text).protocol !== 'https:') {
    throw new Failure('invalid-parameter', `${field}: It begins with https://.`);
  }
  return text;
}

/**
 * The name of an API of the app's own (RFC 8707 §2).
 *
 * @param origin - of this server, which is no app's
 * @throws Failure `invalid-parameter`
 */
export function checkResource(text: string, origin: string): string {
  const url = parse('resources', text);
  const isNear = url.protocol === 'http:' && LOOPBACK.has(url.hostname);
  if ((url.protocol !== 'https:' && !isNear) || text.includes('?')) {
    throw new Failure(
      'invalid-parameter',
      'resources: Each begins with https:// and has no query.',
    );
  }
  if (url.origin === origin) {
    throw new Failure('invalid-parameter', 'resources: This is an address of the server itself.');
  }
  return text;
}

/** A mail address. @throws Failure `invalid-parameter` */
export function checkContact(text: string): string {
  if (!/^[!#-'*+\-/-9=?A-Z^-~.]{1,64}@[A-Za-z0-9.-]{1,189}$/.test(text)) {
    throw new Failure('invalid-parameter', 'contacts: Each is a mail address.');
  }
  return text;
}
