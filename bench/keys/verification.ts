import { openKeyList } from '../../libs/client/src/key-list.ts';
import { atMost } from '../accounts/verdict.ts';
import { median, print } from '../sync/report.ts';
import type { Options } from './options.ts';
import { APP, makePublication, uidOf } from './people.ts';

const TARGET = 1.5;
/** In each round; the first one is for the compiler. */
const TIMES = 2000;

/** What a client does with a list that it was given, beside the one verification that nobody can spare. */
export async function benchVerification({ rounds }: Options): Promise<void> {
  const [realm, uid] = ['A'.repeat(22), uidOf(1)];
  const { skl, identity, list } = await makePublication(realm, uid);
  const [header = '', payload = '', signature = ''] = skl.split('.');
  const signed = Buffer.from(`${header}.${payload}`);
  const raw = Buffer.from(identity.publicJwk.x, 'base64url');
  const bytes = Buffer.from(signature, 'base64url');
  const sides = {
    bare: async () => {
      const key = await crypto.subtle.importKey('raw', raw, 'Ed25519', false, ['verify']);
      if (!(await crypto.subtle.verify('Ed25519', key, bytes, signed))) throw new Error('forged');
    },
    list: () =>
      openKeyList(
        { skl },
        { realm, uid, clientId: APP },
        { identity: identity.publicJwk, now: list.iat },
      ),
  };
  const times: Record<keyof typeof sides, number[]> = { bare: [], list: [] };
  for (let round = 0; round <= rounds; round++) {
    for (const side of ['bare', 'list'] as const) {
      const started = performance.now();
      for (let n = 0; n < TIMES; n++) await sides[side]();
      if (round > 0) times[side].push(((performance.now() - started) / TIMES) * 1000);
    }
  }
  const [bare, whole] = [median(times.bare), median(times.list)];
  print([
    ['a client checks', 'µs', 'times', 'target', ''],
    ['one Ed25519 signature', bare.toFixed(0), '', '', ''],
    ['a key list', whole.toFixed(0), ...atMost(whole / bare, TARGET)],
  ]);
}
