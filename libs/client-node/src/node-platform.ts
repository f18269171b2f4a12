import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';
import type { PlatformOptions } from '#lib/client';
import type { Aead } from '#lib/crypto';

const TAG_LENGTH = 16;

/** AES-256-GCM by OpenSSL: no thread hop for each segment, unlike WebCrypto. */
const nodeAead: Aead = {
  seal(key, iv, aad, plaintext) {
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad);
    return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  },
  open(key, iv, aad, sealed) {
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_LENGTH })
      .setAAD(aad)
      .setAuthTag(sealed.subarray(-TAG_LENGTH));
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_LENGTH)), decipher.final()]);
  },
};

/** What libs/client takes from Node. */
export const nodePlatform: PlatformOptions = {
  now: () => Date.now(),
  aead: nodeAead,
  createSha256: () => {
    const hash = createHash('sha256');
    return {
      update: (bytes) => {
        hash.update(bytes);
      },
      digest: () => new Uint8Array(hash.digest()),
    };
  },
};
