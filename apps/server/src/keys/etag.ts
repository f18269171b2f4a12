import { createHash } from 'node:crypto';
import type { TokenRevocation } from '#lib/protocol';

/** A representation and its strong entity tag, quotes included. */
export interface Tagged<T> {
  body: T;
  etag: string;
}

/** `"<version>-<12 bytes of a SHA-256>"`, of the list and what was revoked by token since. */
export function etagOf(
  ver: number,
  skl: string,
  revocations: readonly TokenRevocation[] | null = null,
): string {
  const text = [skl, ...(revocations ?? []).map(({ kid, sig }) => `${kid} ${sig}`)].join('\n');
  const hash = createHash('sha256').update(text).digest();
  return `"${ver}-${hash.subarray(0, 12).toString('base64url')}"`;
}

/** Of one's own view while one hides, which says so: it is another than before, though the list is not. */
export const hiddenEtagOf = (etag: string): string => etag.replace(/"$/, '-hidden"');

/** As it stands beside a list: left out when there are none. */
export const beside = (revocations: readonly TokenRevocation[] | null) => ({
  ...(revocations && { revocations: [...revocations] }),
});
