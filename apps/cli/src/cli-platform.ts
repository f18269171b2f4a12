import type { PlatformOptions } from '#lib/client';
import { nodePlatform } from '#lib/client-node';

/** Node's, with a name in every request by which people know this program in the list of their devices. */
export const cliPlatform: PlatformOptions = {
  ...nodePlatform,
  fetch: (input, init) => {
    const headers = new Headers(
      init?.headers ?? (input instanceof Request ? input.headers : undefined),
    );
    headers.set('user-agent', 'lockstep');
    return globalThis.fetch(input, { ...init, headers });
  },
};
