import { createPublicKey } from 'node:crypto';
import { z } from 'zod';

const Coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
/** Firefox adds `ext` and `key_ops`, and others may add more; a private member is refused. */
const KeysJwk = z.looseObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: Coordinate,
  y: Coordinate,
  d: z.undefined().optional(),
});

/** Whether this is the base64url of a public JWK, and a point on P-256. */
export function isKeysJwk(value: string): boolean {
  if (value.length > 2048 || !/^[A-Za-z0-9_-]+$/.test(value)) return false;
  try {
    const { kty, crv, x, y } = KeysJwk.parse(
      JSON.parse(Buffer.from(value, 'base64url').toString()),
    );
    createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}
