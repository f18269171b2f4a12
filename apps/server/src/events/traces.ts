import { isIPv4 } from 'node:net';

/** The network that a client is in, without what tells one household from the next. */
export function shortened(client: string): string {
  if (isIPv4(client)) return client.replace(/\d+$/, '0/24');
  const [head = ''] = client.split('::');
  return client.includes(':') ? `${head.split(':').slice(0, 3).join(':')}::/48` : 'unknown';
}
