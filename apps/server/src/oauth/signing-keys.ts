import type { JSONWebKeySet } from 'jose';
import type { JWKS } from 'oidc-provider';

/** The same keys without their private members: what everybody may see. */
export const publicKeys = ({ keys }: JWKS): JSONWebKeySet => ({
  keys: keys.map((jwk) => {
    const { kty, crv, x, y, alg, use, kid } = jwk as unknown as Record<string, string>;
    return { kty: kty ?? '', ...{ crv, x, y, alg, use, kid } };
  }),
});
