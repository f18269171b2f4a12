import {
  CryptoRefusal,
  type EncryptionPrivateJwk,
  type EncryptionPublicJwk,
  generateEncryptionKey,
  importPublicKey,
  randomBytes,
  toBase64Url,
  verifySigned,
} from '#lib/crypto';
import {
  ClaimedPackage,
  KEY_PACKAGE_LIFE_SECONDS_MAX,
  KEY_PACKAGE_TYPE,
  KeyPackage,
  PackagesNow,
} from '#lib/protocol';
import { IntegrityError } from './client-error.ts';
import type { Publisher } from './key-draft.ts';
import { askKeyService, type Contact, type KeyHolder } from './contact.ts';

/** A package that was published, and its private half, which the caller keeps until somebody has used it. */
export interface OwnPackage {
  id: string;
  privateJwk: EncryptionPrivateJwk;
}

/**
 * Publishes packages for others to begin a group with.
 *
 * @param input - how many, 1 to 50; with `isLast` one that is given out when no other is left
 * @throws ClientError when more wait than the server keeps
 */
export async function publishPackages(
  holder: KeyHolder,
  { place, identity, now }: Publisher,
  { count, isLast = false }: { count: number; isLast?: boolean },
): Promise<OwnPackage[]> {
  const own: OwnPackage[] = [];
  const packages: string[] = [];
  for (let i = 0; i < count; i++) {
    const { publicJwk, privateJwk } = await generateEncryptionKey();
    const id = toBase64Url(randomBytes(16));
    const payload: KeyPackage = {
      ...{ v: 1, iss: place.realm, sub: place.uid, cid: place.clientId, id },
      ...{ iat: now, exp: now + KEY_PACKAGE_LIFE_SECONDS_MAX, key: publicJwk },
      ...(isLast && { last: true }),
    };
    packages.push(await identity.sign(KEY_PACKAGE_TYPE, payload));
    own.push({ id, privateJwk });
  }
  const ask = { method: 'POST', url: '/keys/v1/packages', json: { packages } } as const;
  await askKeyService(holder, ask, PackagesNow);
  return own;
}

/**
 * Takes one package of somebody, and checks that they signed it for this app.
 *
 * @returns its key; undefined when none is left
 * @throws IntegrityError `PACKAGE_FORGED`
 */
export async function claimPackage(
  holder: KeyHolder,
  { uid, identity }: Contact,
): Promise<EncryptionPublicJwk | undefined> {
  const { server, clientId } = holder;
  const ask = { method: 'POST', url: '/keys/v1/packages/claims', json: { uid } } as const;
  const { data: answer } = await askKeyService(holder, ask, ClaimedPackage);
  if (answer.package === undefined) return undefined;
  const forged = (why: string, cause?: unknown) =>
    new IntegrityError('PACKAGE_FORGED', `The key package of ${uid} ${why}.`, { cause });
  try {
    const payload = await verifySigned(answer.package, identity, KEY_PACKAGE_TYPE);
    const { iss, sub, cid, exp, key } = KeyPackage.parse(payload);
    if (iss !== server.realm || sub !== uid || cid !== clientId) {
      throw forged('was made for another user, app or realm');
    }
    if (exp <= server.seconds()) throw forged('has expired');
    return importPublicKey(key);
  } catch (cause) {
    if (cause instanceof IntegrityError) throw cause;
    const isRefused = cause instanceof CryptoRefusal && cause.code === 'key-invalid';
    throw forged(isRefused ? 'holds no usable key' : 'is not signed by its owner', cause);
  }
}
