/**
 * The two layers of a JWE in HPKE's Key Encryption mode, algorithms HPKE-4-KE and HPKE-11-KE.
 *
 * | part | made of |
 * | --- | --- |
 * | HPKE-4 | DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305 |
 * | HPKE-11 | X-Wing (MLKEM768-X25519), SHAKE256, ChaCha20Poly1305 |
 * | HPKE info | "JOSE-HPKE rcpt" 0xFF enc 0xFF recipient_extra_info |
 * | HPKE aad | empty |
 * | `ek` | base64url of the encapsulated secret, 32 bytes; 1120 of HPKE-11 |
 * | `encrypted_key` | base64url of the sealed CEK, 32 + 16 bytes |
 * | content | A256GCM under the CEK, AAD = ASCII(protected) or ASCII(protected "." aad) |
 *
 * @see draft-ietf-jose-hpke-encrypt, "Key Encryption" and "Recipient_structure"; draft-skokan-jose-hpke-pq-pqt;
 * RFC 9180 §6.1; RFC 7516 §5.1
 * @module
 */
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256, type AEAD } from 'hpke';

import { webCryptoAead } from './aead.ts';
import { concat, fromBase64Url, randomBytes, toBase64Url, utf8 } from './encoding.ts';
import {
  privateBytes,
  publicBytes,
  type EncryptionPrivateJwk,
  type EncryptionPublicJwk,
} from './encryption-key.ts';
import { shake256Kdf, xWingKem } from './x-wing.ts';

const ENC = 'A256GCM';
const TAG_LENGTH = 16;

/** ChaCha20-Poly1305 for `hpke`: WebCrypto in Node 20 and in browsers does not have it. */
const chaCha20Poly1305 = (): AEAD => ({
  id: 0x0003,
  type: 'AEAD',
  name: 'ChaCha20Poly1305',
  Nk: 32,
  Nn: 12,
  Nt: 16,
  Seal: (key, nonce, aad, pt) => Promise.resolve(chacha20poly1305(key, nonce, aad).encrypt(pt)),
  Open: (key, nonce, aad, ct) =>
    new Promise((resolve) => {
      resolve(chacha20poly1305(key, nonce, aad).decrypt(ct));
    }),
});

const suites = {
  'HPKE-4-KE': new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, chaCha20Poly1305),
  'HPKE-11-KE': new CipherSuite(xWingKem, shake256Kdf, chaCha20Poly1305),
};

/** Builds the HPKE info: what the key encryption is bound to. */
export function recipientStructure(extraInfo: Uint8Array): Uint8Array {
  return concat(
    utf8('JOSE-HPKE rcpt'),
    Uint8Array.of(255),
    utf8(ENC),
    Uint8Array.of(255),
    extraInfo,
  );
}

/** A CEK encrypted to one recipient, base64url. */
export interface EncryptedKey {
  ek: string;
  encryptedKey: string;
}

/**
 * Encrypts a content key to one public key.
 *
 * @param to - the recipient's key and the context to bind
 */
export async function sealContentKey(
  cek: Uint8Array,
  to: { publicJwk: EncryptionPublicJwk; extraInfo: Uint8Array },
): Promise<EncryptedKey> {
  const suite: CipherSuite = suites[to.publicJwk.alg];
  const key = await suite.DeserializePublicKey(publicBytes(to.publicJwk));
  const info = recipientStructure(to.extraInfo);
  const { encapsulatedSecret, ciphertext } = await suite.Seal(key, cek, { info });
  return { ek: toBase64Url(encapsulatedSecret), encryptedKey: toBase64Url(ciphertext) };
}

/**
 * Opens a content key with one pair.
 *
 * @throws Error of `hpke`, or RangeError, when it does not open
 */
export async function openContentKey(
  { ek, encryptedKey }: EncryptedKey,
  mine: { privateJwk: EncryptionPrivateJwk; extraInfo: Uint8Array },
): Promise<Uint8Array> {
  const { privateJwk } = mine;
  const suite: CipherSuite = suites[privateJwk.alg];
  // `hpke` needs the pair: it cannot compute the public key from a WebCrypto private key.
  const pair = {
    privateKey: await suite.DeserializePrivateKey(privateBytes(privateJwk)),
    publicKey: await suite.DeserializePublicKey(publicBytes(privateJwk)),
  };
  const info = recipientStructure(mine.extraInfo);
  return suite.Open(pair, fromBase64Url(ek), fromBase64Url(encryptedKey), { info });
}

/** The content members of a JWE, base64url. */
export interface JweContent {
  protected: string;
  iv: string;
  ciphertext: string;
  tag: string;
  aad?: string | undefined;
}

const contentAad = (protectedHeader: string, aad: string | undefined) =>
  utf8(aad === undefined ? protectedHeader : `${protectedHeader}.${aad}`);

/** Encrypts content under a fresh CEK of 32 bytes, bound to its protected header. */
export async function sealContent(
  cek: Uint8Array,
  protectedHeader: string,
  plaintext: Uint8Array,
): Promise<JweContent> {
  const iv = randomBytes(12);
  const sealed = await webCryptoAead.seal(
    cek,
    iv,
    contentAad(protectedHeader, undefined),
    plaintext,
  );
  return {
    protected: protectedHeader,
    iv: toBase64Url(iv),
    ciphertext: toBase64Url(sealed.subarray(0, -TAG_LENGTH)),
    tag: toBase64Url(sealed.subarray(-TAG_LENGTH)),
  };
}

/**
 * Opens content.
 *
 * @throws RangeError when iv or tag has another length; Error of the AEAD when it does not authenticate
 */
export async function openContent(cek: Uint8Array, content: JweContent): Promise<Uint8Array> {
  const [iv, tag] = [fromBase64Url(content.iv), fromBase64Url(content.tag)];
  if (iv.length !== 12 || tag.length !== TAG_LENGTH)
    throw new RangeError('A256GCM part too short.');
  const sealed = concat(fromBase64Url(content.ciphertext), tag);
  return webCryptoAead.open(cek, iv, contentAad(content.protected, content.aad), sealed);
}
