/** Options that every command has. */
export interface GlobalOptions {
  url: string;
  profile: string;
  json?: boolean;
}

/** Prints a result: as one JSON line with --json, else as the sentence made of it. */
export function print<T extends object>(
  { json }: Pick<GlobalOptions, 'json'>,
  result: T,
  sentence: (result: T) => string,
): void {
  process.stdout.write(`${json === true ? JSON.stringify(result) : sentence(result)}\n`);
}
