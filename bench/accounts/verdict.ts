/** A number, the most that it may be, and whether it is no more. */
export const atMost = (value: number, target: number, digits = 2): string[] => [
  value.toFixed(digits),
  `≤ ${target}`,
  value <= target ? 'met' : 'MISSED',
];
