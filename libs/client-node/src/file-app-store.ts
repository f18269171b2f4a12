import { webcrypto } from 'node:crypto';
import { dirname } from 'node:path';
import type { AppStore } from '#lib/client';
import { locked } from './file-lock.ts';
import {
  makePrivateFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from './private-file.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };

/** A key as a file holds it. */
interface TextPair {
  privateJwk: webcrypto.JsonWebKey;
  publicJwk: webcrypto.JsonWebKey;
}

/** Keeps the sign-in of a program in one file of mode 600; processes take turns by a lock beside it. */
export class FileAppStore implements AppStore {
  readonly isText = true;

  constructor(readonly path: string) {}

  async get(name: string): Promise<unknown> {
    const value = (await this.#read())[name];
    return isTextPair(value) ? toKeys(value) : value;
  }

  async set(name: string, value: unknown): Promise<void> {
    const text = isKeys(value) ? await toText(value) : value;
    const values = { ...(await this.#read()), [name]: text };
    const isEmpty = Object.values(values).every((kept) => kept === undefined);
    await (isEmpty ? removePrivateFile(this.path) : writePrivateFile(this.path, values));
  }

  async locked<T>(run: () => Promise<T>): Promise<T> {
    await makePrivateFolder(dirname(this.path));
    return locked(this.path, run);
  }

  async #read(): Promise<Record<string, unknown>> {
    return ((await readPrivateFile(this.path)) ?? {}) as Record<string, unknown>;
  }
}

const isKeys = (value: unknown): value is webcrypto.CryptoKeyPair =>
  typeof value === 'object' && value !== null && 'privateKey' in value;

const isTextPair = (value: unknown): value is TextPair =>
  typeof value === 'object' && value !== null && 'privateJwk' in value;

async function toText({ privateKey, publicKey }: webcrypto.CryptoKeyPair): Promise<TextPair> {
  const { subtle } = webcrypto;
  return {
    privateJwk: await subtle.exportKey('jwk', privateKey),
    publicJwk: await subtle.exportKey('jwk', publicKey),
  };
}

async function toKeys({ privateJwk, publicJwk }: TextPair): Promise<webcrypto.CryptoKeyPair> {
  const { subtle } = webcrypto;
  return {
    privateKey: await subtle.importKey('jwk', privateJwk, ALGORITHM, false, ['sign']),
    publicKey: await subtle.importKey('jwk', publicJwk, ALGORITHM, true, ['verify']),
  };
}
