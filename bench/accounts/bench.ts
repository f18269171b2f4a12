import type { ServerUnderTest } from '../sync/server-under-test.ts';
import type { AccountApi } from './account-api.ts';
import type { Options } from './options.ts';

/** What each part is given: a server of its own, and who calls it. */
export interface Bench {
  server: ServerUnderTest;
  api: AccountApi;
  options: Options;
}
