import { benchBeside } from './beside.ts';
import { benchHttp } from './http.ts';
import { readOptions } from './options.ts';
import { machine, say } from './report.ts';
import { benchSql } from './sql.ts';

/** `npm run bench -- sync`: the storage API in numbers. docs/benchmarks.md says what they mean. */
export async function sync(rest: readonly string[]): Promise<void> {
  const options = readOptions(rest);
  if (!options) return;
  say(machine(), '');
  if (options.parts.has('sql')) await benchSql(options);
  if (options.parts.has('http')) await benchHttp(options);
  if (options.parts.has('beside')) await benchBeside(options);
}
