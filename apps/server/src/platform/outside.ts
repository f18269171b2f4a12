import dns from 'node:dns/promises';
import { globalAgent, request } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/*
 * Calls to addresses that a stranger chose: a device, or the developer of an app. They reach https on
 * the public internet, and what the operator named, and no other host inside.
 */

/** By a resolver of its own: the system's would keep threads that passwords are stretched in. */
const RESOLVE_MS = 2000;

/**
 * Networks that no service of the world is in: this host and network, private, shared,
 * link-local, documentation, benchmarks, multicast, reserved.
 *
 * @see RFC 6890, and IANA's registry of special-purpose IPv4 addresses
 */
const inside = new BlockList();
for (const network of [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16'],
  ...['172.16.0.0/12', '192.0.0.0/24', '192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16'],
  ...['198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
]) {
  const [address = '', bits = ''] = network.split('/');
  inside.addSubnet(address, Number(bits), 'ipv4');
}

/** All of IPv6 that is given out, without what carries IPv4 or is special inside. */
const outside6 = new BlockList();
outside6.addSubnet('2000::', 3, 'ipv6');
const inside6 = new BlockList();
inside6.addSubnet('2001::', 23, 'ipv6'); // Teredo and other protocols
inside6.addSubnet('2001:db8::', 32, 'ipv6');
inside6.addSubnet('2002::', 16, 'ipv6'); // 6to4
inside6.addSubnet('3fff::', 20, 'ipv6');

/** Whether an address is one of the public internet. */
function isPublic(address: string): boolean {
  if (isIP(address) === 4) return !inside.check(address, 'ipv4');
  return outside6.check(address, 'ipv6') && !inside6.check(address, 'ipv6');
}

/** The name or address of a URL, an IPv6 address without its brackets, a name without a last dot. */
const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

/**
 * What of an address can be judged before it is resolved.
 *
 * @param what - what it is, for the sentence: "A push address"
 * @param allowed - hosts that may be inside
 * @returns why it cannot be, or the address
 */
export function parseOutsideUrl(
  text: string,
  what: string,
  allowed: ReadonlySet<string>,
): URL | string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:') return `${what} is an https URL.`;
  if (url.username !== '' || url.password !== '') return `${what} has no credentials.`;
  const host = hostOf(url);
  if (allowed.has(host)) return url;
  const isInside = isIP(host) ? !isPublic(host) : /^localhost$|\.localhost$|^[^.]*$/.test(host);
  return isInside ? `${what} is on the public internet.` : url;
}

/** An address to connect to. */
interface Address {
  address: string;
  family: 4 | 6;
}

/**
 * The addresses of a host. Whoever connects uses these and asks no second time: the answer
 * could be another.
 *
 * @returns none when the name is not known; undefined when any of its addresses is inside
 */
async function addressesOf(
  host: string,
  allowed: ReadonlySet<string>,
): Promise<Address[] | undefined> {
  const family = isIP(host);
  const isAllowed = allowed.has(host);
  let found: Address[] = [];
  if (family === 4 || family === 6) found = [{ address: host, family }];
  else if (host.includes('.')) found = await resolve(host);
  // A name inside may stand in a file of the machine.
  if (isAllowed && found.length === 0) {
    found = (await dns.lookup(host, { all: true })) as Address[];
  }
  return isAllowed || found.every(({ address }) => isPublic(address)) ? found : undefined;
}

async function resolve(host: string): Promise<Address[]> {
  const resolver = new dns.Resolver({ timeout: RESOLVE_MS, tries: 1 });
  resolver.setServers(dns.getServers());
  const none = (): string[] => [];
  const [v4, v6] = await Promise.all([
    resolver.resolve4(host).catch(none),
    resolver.resolve6(host).catch(none),
  ]);
  return [
    ...v4.map((address) => ({ address, family: 4 as const })),
    ...v6.map((address) => ({ address, family: 6 as const })),
  ];
}

/** What is sent, and until when anybody waits. */
export interface Sending {
  headers: Readonly<Record<string, string>>;
  body: Buffer;
  signal: AbortSignal;
}

/**
 * Posts to an address that {@link parseOutsideUrl} let pass, if its name leads outside.
 *
 * @param allowed - hosts that may be inside
 * @returns the status of the answer; its body is not read, and a redirect is an answer like others.
 *   `inside`: nothing was sent. `unknown`: the name is not known
 * @throws what went wrong with the connection, or the signal's reason
 */
export async function postOutside(
  url: URL,
  allowed: ReadonlySet<string>,
  sending: Sending,
): Promise<number | 'inside' | 'unknown'> {
  const addresses = await unlessAborted(addressesOf(hostOf(url), allowed), sending.signal);
  if (addresses === undefined) return 'inside';
  return addresses.length === 0 ? 'unknown' : post(url, addresses, sending);
}

function post(url: URL, addresses: Address[], { headers, body, signal }: Sending): Promise<number> {
  // These addresses were checked; the name is not asked again.
  const lookup: LookupFunction = (_host, { all }, found) => {
    const [first] = addresses;
    if (all) found(null, addresses);
    else found(null, first?.address ?? '', first?.family);
  };
  return new Promise((resolve, reject) => {
    request(url, {
      ...{ method: 'POST', lookup, signal, agent: globalAgent, maxHeaderSize: 8192 },
      headers: { ...headers, connection: 'close' },
    })
      .on('response', (answer) => {
        answer.on('error', () => undefined).destroy();
        resolve(answer.statusCode ?? 0);
      })
      .on('error', reject)
      .end(body);
  });
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error);
    });
  });
  return Promise.race([work, aborted]);
}
