import { parseOutsideUrl, postOutside } from '../platform/outside.ts';

/** From the name's resolution to the head of the answer. */
const PATIENCE_MS = 5000;

/**
 * The provider's way out: to addresses that are outside, or that the operator named.
 *
 * @param allowed - hosts that may be inside
 */
export async function fetchOutside(
  address: string | URL | Request,
  { method, headers, body }: RequestInit = {},
  allowed: ReadonlySet<string>,
): Promise<Response> {
  if (method !== 'POST' || !(body instanceof URLSearchParams) || address instanceof Request) {
    throw new Error('apps are sent forms, and nothing else');
  }
  const url = parseOutsideUrl(String(address), 'An address of an app', allowed);
  if (typeof url === 'string') throw new Error(url);
  const status = await postOutside(url, allowed, {
    headers: Object.fromEntries(new Headers(headers)),
    body: Buffer.from(body.toString()),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (typeof status === 'string') throw new Error(`${url.host} is ${status}`);
  return new Response(null, { status });
}
