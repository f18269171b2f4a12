import type { EncryptionPublicJwk, IdentityJwk, KeyWithId } from '#lib/crypto';
import type { z } from 'zod';
import type { Ask } from './http.ts';
import type { Server } from './server.ts';
import type { Tokens } from './tokens.ts';

/** Whose keys they are: an {@link App}, or a page that has kBr of one app and tokens for it. */
export interface KeyHolder {
  readonly server: Server;
  readonly uid: string;
  readonly clientId: string;
  readonly kBr: KeyWithId;
  readonly tokens: Pick<Tokens, 'bearing'>;
}

/** Asks the Key Service for them, with their token. */
export function askKeyService<T extends z.ZodType>(
  { tokens, server }: KeyHolder,
  ask: Ask,
  schema: T,
): Promise<{ data: z.infer<T>; headers: Headers }> {
  return tokens.bearing('keys', ask, (signed) => server.http.answer(signed, schema));
}

/** Somebody else, as far as their key list proves. */
export interface Contact {
  uid: string;
  identity: IdentityJwk;
  /** The version of the list that holds the keys. */
  version: number;
  /** The key to encrypt to; of X25519 where there are two. */
  publicJwk: EncryptionPublicJwk;
  /** All that may be encrypted to, one of each algorithm. */
  keys: readonly EncryptionPublicJwk[];
  /** Whether the identity was pinned just now: nobody has compared it with its owner yet. */
  isNew: boolean;
  /** Whether the identity was compared with its owner, on any of one's own devices. */
  isChecked: boolean;
  /** When the server was asked last, in seconds since 1970. */
  seenAt: number;
}
