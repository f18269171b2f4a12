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

/** `Firefox on Linux`: of a `User-Agent`, which its sender chooses, only which words of ours it holds. */
export function familyOf(agent: string): string {
  const first = (names: readonly (readonly [string, string])[]) =>
    names.find(([mark]) => agent.includes(mark))?.[1];
  const program = first(programs) ?? 'Another program';
  const system = first(systems);
  return system === undefined ? program : `${program} on ${system}`;
}
