import { FlattenedEncrypt, flattenedDecrypt, type FlattenedJWE } from 'jose';

import { expectNone, isObject } from './checks.ts';
import { fromUtf8, toBase64Url, utf8 } from './encoding.ts';
import { importPrivateKey, type EncryptionPrivateJwk } from './encryption-key.ts';
import { CryptoRefusal } from './refusal.ts';
import type { KeyWithId } from './scoped-key.ts';
import { deriveSubKey } from './sub-keys.ts';

/** Where a wrapped key belongs. The opener states it from its own knowledge; the server cannot. */
export interface WrapContext {
  realm: string;
  uid: string;
  clientId: string;
  /** The wrapped key's id. */
  kid: string;
  /** The version of the key list in which the key first appeared. */
  version: number;
}

const HEADER = { alg: 'dir', enc: 'A256GCM', typ: 'ks-wrap+jwe', cty: 'jwk+json' } as const;
const ALGORITHMS = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] };

function contextBytes(context: WrapContext, kBr: KeyWithId): Uint8Array {
  const { realm, uid, clientId, kid, version } = context;
  expectNone('\n', { realm, uid, clientId, kid, kBrKid: kBr.kid });
  const fields = ['keyservice/v1/wrapped-key', realm, uid, clientId, kid, version, kBr.kid];
  return utf8([...fields, ''].join('\n'));
}

/**
 * Wraps a private key under the application's kBr, bound to its place.
 *
 *     key = HKDF(kBr.k, no salt, "keyservice/v1/wrap", 32)
 *     aad = "keyservice/v1/wrapped-key" LF realm LF uid LF clientId LF kid LF version LF kBr.kid LF
 *     JWE flattened(alg dir, enc A256GCM, kid: kBr.kid, typ "ks-wrap+jwe", cty "jwk+json")
 *
 * @returns the flattened JWE as JSON text
 * @throws RangeError when a context field holds a line feed, or names another key
 * @throws CryptoRefusal `key-invalid` when the private key is not a whole pair
 * @see RFC 7516 §7.2.2; keys.md §3.3
 */
export async function wrapPrivateKey(input: {
  privateJwk: EncryptionPrivateJwk;
  kBr: KeyWithId;
  context: WrapContext;
}): Promise<string> {
  const { kBr, context } = input;
  const privateJwk = importPrivateKey(input.privateJwk);
  if (context.kid !== privateJwk.kid) throw new RangeError('The context names another key.');
  const jwe = await new FlattenedEncrypt(utf8(JSON.stringify(privateJwk)))
    .setProtectedHeader({ ...HEADER, kid: kBr.kid })
    .setAdditionalAuthenticatedData(contextBytes(context, kBr))
    .encrypt(deriveSubKey(kBr.k, 'wrap'));
  return JSON.stringify(jwe);
}

/**
 * Unwraps a private key. The context is rebuilt from the arguments; whatever `aad` the server sent is ignored.
 *
 * @param jwe - flattened JWE as JSON text
 * @throws RangeError when a context field holds a line feed
 * @throws CryptoRefusal `unwrap-failed` when it was made under another kBr, for another place, or is no key
 */
export async function unwrapPrivateKey(
  jwe: string,
  kBr: KeyWithId,
  context: WrapContext,
): Promise<EncryptionPrivateJwk> {
  const aad = toBase64Url(contextBytes(context, kBr));
  const key = deriveSubKey(kBr.k, 'wrap');
  try {
    const received: unknown = JSON.parse(jwe);
    if (!isObject(received)) throw new TypeError('It is not a JSON object.');
    const { protected: header, iv, ciphertext, tag } = received;
    const rebuilt = { protected: header, iv, ciphertext, tag, aad } as FlattenedJWE;
    const { plaintext, protectedHeader } = await flattenedDecrypt(rebuilt, key, ALGORITHMS);
    if (protectedHeader?.kid !== kBr.kid || protectedHeader.typ !== HEADER.typ) {
      throw new TypeError('The header names another key or another type.');
    }
    if (protectedHeader.zip !== undefined) throw new TypeError('The plaintext is compressed.');
    const privateJwk = importPrivateKey(JSON.parse(fromUtf8(plaintext)));
    if (privateJwk.kid !== context.kid) throw new TypeError('It holds another key.');
    return privateJwk;
  } catch (cause) {
    throw new CryptoRefusal('unwrap-failed', 'The wrapped key does not open here.', { cause });
  }
}
