import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { deriveTokenKey, mintToken } from '#lib/crypto';
import type { StorageAccess } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { SettingsService } from '../platform/settings.service.ts';

/** Hawk credentials for one store. */
export interface StorageCredentials {
  id: string;
  /** Text, whose bytes are the Hawk key. */
  key: string;
}

/** What a token says besides its expiry and salt. */
export interface TokenClaims {
  uid: number;
  /** The node's public address. */
  node: string;
  access?: StorageAccess | undefined;
  fxa_uid?: string;
  fxa_kid?: string;
  hashed_fxa_uid?: string;
  hashed_device_id?: string;
}

/**
 * Mints the tokens that storage nodes take. The node needs the shared secret, and asks nobody.
 *
 * @see Token server 1.0; tokenlib
 */
@Injectable()
export class StorageCredentialsService {
  constructor(
    private readonly settings: SettingsService,
    private readonly clock: Clock,
  ) {}

  /** @param seconds - how long they are good for */
  async mint(claims: TokenClaims, seconds: number): Promise<StorageCredentials> {
    const secrets = await this.settings.syncSecrets();
    const secret = secrets.at(-1) ?? secrets[0];
    const id = mintToken(secret, {
      ...claims,
      expires: this.clock.seconds() + seconds,
      salt: randomBytes(3).toString('hex'),
      tokenserver_origin: 'lockstep',
    });
    return { id, key: deriveTokenKey(secret, id) };
  }
}
