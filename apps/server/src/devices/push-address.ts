import dns from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** By a resolver of its own: the system's would keep threads that passwords are stretched in. */
const RESOLVE_MS = 2000;

/**
 * Networks that no push service of the world is in: this host and network, private, shared,
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
export const hostOf = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');

/**
 * What of a push address can be judged before it is resolved.
 *
 * @param allowed - hosts that may be inside
 * @returns why it cannot be, or the address
 */
export function parsePushUrl(text: string, allowed: ReadonlySet<string>): URL | string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:') return 'A push address is an https URL.';
  if (url.username !== '' || url.password !== '') return 'A push address has no credentials.';
  const host = hostOf(url);
  if (allowed.has(host)) return url;
  const isInside = isIP(host) ? !isPublic(host) : /^localhost$|\.localhost$|^[^.]*$/.test(host);
  return isInside ? 'A push address is on the public internet.' : url;
}

/** An address to connect to. */
export interface Address {
  address: string;
  family: 4 | 6;
}

/**
 * The addresses of a push service. Whoever connects uses these and asks no second time: the answer
 * could be another.
 *
 * @returns none when the name is not known; undefined when any of its addresses is inside
 */
export async function addressesOf(
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
