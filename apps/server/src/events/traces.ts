import { isIPv4 } from 'node:net';

/** The network that a client is in, without what tells one household from the next. */
export function shortened(client: string): string {
  if (isIPv4(client)) return client.replace(/\d+$/, '0/24');
  const [head = ''] = client.split('::');
  return client.includes(':') ? `${head.split(':').slice(0, 3).join(':')}::/48` : 'unknown';
}

const programs = [
  ['lockstep', 'lockstep'],
  ['Thunderbird/', 'Thunderbird'],
  ['Edg/', 'Edge'],
  ['Firefox/', 'Firefox'],
  ['FxiOS/', 'Firefox'],
  ['Chrome/', 'Chrome'],
  ['Safari/', 'Safari'],
] as const;
const systems = [
  ['Android', 'Android'],
  ['iPhone', 'iOS'],
  ['iPad', 'iOS'],
  ['Windows', 'Windows'],
  ['Mac OS', 'macOS'],
  ['Linux', 'Linux'],
] as const;

/** `Firefox on Linux`: of words that a caller can choose, only which of ours they hold. */
export function familyOf(agent: string): string {
  const first = (names: readonly (readonly [string, string])[]) =>
    names.find(([mark]) => agent.includes(mark))?.[1];
  const program = first(programs) ?? 'Another program';
  const system = first(systems);
  return system === undefined ? program : `${program} on ${system}`;
}
