import { BlockList, isIP, isIPv6 } from 'node:net';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';

/** Where a request comes from, as far as a limit or a list of events wants to know it. */
export interface Visitor {
  /** An IPv4 address, or the /64 of an IPv6 one: whoever has one address there has all of them. */
  client: string;
  /** The whole of it, for the account's owner to see. */
  address: string;
  /** The `User-Agent` header as it came; a caller's words. */
  agent: string;
}

/** Of each request, what it takes to know the visitor; most are about something else. */
const arrivals = new WeakMap<object, { remote: string; proxies: BlockList }>();

/** The {@link Visitor} of a request. */
export const From = createParamDecorator((_: unknown, context: ExecutionContext): Visitor =>
  visitorOf(context.switchToHttp().getRequest<FastifyRequest>()),
);

/** The {@link Visitor} of a request, for a guard: the last address that no proxy of ours has. */
export function visitorOf(request: Pick<FastifyRequest, 'raw'>): Visitor {
  const arrival = arrivals.get(request.raw);
  if (!arrival) return { client: 'unknown', address: '', agent: '' };
  const { headers } = request.raw;
  const said = [headers['x-forwarded-for'] ?? []].flat().join(',');
  const address = lastStranger(arrival.remote, said, arrival.proxies);
  return { client: networkOf(address), address, agent: headers['user-agent'] ?? '' };
}

/** Notes of each request where it comes from, while its connection is there to be asked. */
export function attendVisitors(server: NestFastifyApplication, proxies: BlockList): void {
  server
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request, _reply, done) => {
      arrivals.set(request.raw, { remote: request.raw.socket.remoteAddress ?? '', proxies });
      done();
    });
}

/** @throws Error that names the part that is neither an address nor a network */
export function proxyList(text: string): BlockList {
  const list = new BlockList();
  for (const part of text.split(',').map((piece) => piece.trim())) {
    if (part === '') continue;
    const [address = '', bits] = part.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    const most = family === 'ipv6' ? 128 : 32;
    const prefix = bits === undefined ? most : Number(bits);
    if (isIP(address) === 0 || !/^\d{1,3}$/.test(bits ?? '0') || prefix > most) {
      throw new Error(`${part} is no address or network`);
    }
    list.addSubnet(address, prefix, family);
  }
  return list;
}

/** Each proxy adds the address that it sees at the end; what a stranger wrote before it is his word. */
function lastStranger(remote: string, forwarded: string, proxies: BlockList): string {
  let address = bare(remote);
  const said = forwarded.split(',').map((piece) => bare(piece.trim()));
  while (isIn(proxies, address)) {
    const before = said.pop();
    if (before === undefined || isIP(before) === 0) break;
    address = before;
  }
  return address;
}

const isIn = (list: BlockList, address: string) =>
  isIP(address) !== 0 && list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');

/** An IPv4 address that came by an IPv6 socket is an IPv4 address. */
const bare = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');

/** `2001:db8:0:1:…` → `2001:db8:0:1::/64` */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail] = address.split('::');
  const start = head === '' ? [] : head.split(':');
  const end = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - start.length - end.length;
  const groups = [...start, ...Array.from({ length: zeros }, () => '0'), ...end];
  return `${groups
    .slice(0, 4)
    .map((group) => parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
