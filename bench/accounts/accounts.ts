import { machine, say } from '../sync/report.ts';
import { ServerUnderTest } from '../sync/server-under-test.ts';
import { AccountApi } from './account-api.ts';
import { benchCrowd } from './crowd.ts';
import { benchFirefox } from './firefox.ts';
import { benchLogin } from './login.ts';
import { readOptions } from './options.ts';
import { benchSession } from './session.ts';
import { benchStuffing } from './stuffing.ts';
import { benchTiming } from './timing.ts';

/** In the order of the options. */
const benches = {
  login: benchLogin,
  session: benchSession,
  timing: benchTiming,
  crowd: benchCrowd,
  stuffing: benchStuffing,
  firefox: benchFirefox,
} as const;

/** `npm run bench -- accounts`: the account API in numbers. docs/benchmarks.md says what they mean. */
export async function accounts(rest: readonly string[]): Promise<void> {
  const options = readOptions(rest);
  if (!options) return;
  say(machine(), '');
  for (const [part, run] of Object.entries(benches)) {
    if (!options.parts.has(part as keyof typeof benches)) continue;
    const server = await ServerUnderTest.start({ SIGN_UP: 'open' });
    const api = new AccountApi(server.origin);
    try {
      await run({ server, api, options });
    } finally {
      api.close();
      await server.stop();
    }
  }
}
