import { forWebCrypto } from './checks.ts';

/** AES-256-GCM: key 32 bytes, iv 12 bytes, sealed = ciphertext | tag(16). */
export interface Aead {
  seal(
    key: Uint8Array,
    iv: Uint8Array,
    aad: Uint8Array,
    plaintext: Uint8Array,
  ): Promise<Uint8Array> | Uint8Array;
  /** Throws or rejects when the tag is wrong. */
  open(
    key: Uint8Array,
    iv: Uint8Array,
    aad: Uint8Array,
    sealed: Uint8Array,
  ): Promise<Uint8Array> | Uint8Array;
}

const importKey = (key: Uint8Array) =>
  crypto.subtle.importKey('raw', forWebCrypto(key), 'AES-GCM', false, ['encrypt', 'decrypt']);

const parameters = (iv: Uint8Array, aad: Uint8Array) => ({
  name: 'AES-GCM',
  iv: forWebCrypto(iv),
  additionalData: forWebCrypto(aad),
});

/**
 * AES-GCM by the platform's WebCrypto.
 *
 * @see NIST SP 800-38D §7
 */
export const webCryptoAead: Aead = {
  async seal(key, iv, aad, plaintext) {
    const secret = await importKey(key);
    const data = forWebCrypto(plaintext);
    return new Uint8Array(await crypto.subtle.encrypt(parameters(iv, aad), secret, data));
  },
  async open(key, iv, aad, sealed) {
    const secret = await importKey(key);
    const data = forWebCrypto(sealed);
    return new Uint8Array(await crypto.subtle.decrypt(parameters(iv, aad), secret, data));
  },
};
