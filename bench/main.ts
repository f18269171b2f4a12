import { accounts } from './accounts/accounts.ts';
import { journey } from './journey.ts';
import { keys } from './keys/keys.ts';
import { oauth } from './oauth/oauth.ts';
import { scaleOut } from './scale-out.ts';
import { sync } from './sync/sync.ts';

/** One entry for each number in the documents. */
const benches: Readonly<Record<string, (rest: readonly string[]) => Promise<void>>> = {
  accounts,
  journey,
  keys,
  oauth,
  'scale-out': scaleOut,
  sync,
};

const [name = '', ...rest] = process.argv.slice(2);
const bench = benches[name];
if (bench) {
  await bench(rest);
} else {
  process.stderr.write(`npm run bench -- ${Object.keys(benches).join(' | ')}\n`);
  process.exitCode = 2;
}
