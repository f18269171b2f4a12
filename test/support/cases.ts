/**
 * For fast-check: the same cases each time, so that a change fails for what it changed and not by
 * chance; with `SLOW=1` many more, and others in each run.
 */
export const cases = (few: number, many: number) =>
  process.env.SLOW === undefined ? { numRuns: few, seed: 1 } : { numRuns: many };
