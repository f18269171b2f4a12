import { randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Injectable } from '@nestjs/common';
import { deriveVerifyHash, deriveWrapwrapKey, fromHex } from '#lib/crypto';
import { Failure } from '#lib/protocol';
import { Config } from '../platform/config.ts';

const scrypt = promisify<Buffer, Buffer, number, object, Buffer>(scryptCallback);

/** onepw v1: 64 MiB and about a tenth of a second each. */
const COST = { N: 65_536, r: 8, p: 1, maxmem: 80 * 1024 * 1024 };
/** Callers in line per stretching at work; beyond, they are told to come back in time. */
const WAITING_MAX = 32;

/** What a password check needs, as the account table keeps it. 32 bytes each. */
export interface Verifier {
  authSalt: Buffer;
  verifyHash: Buffer;
}

/** The server's half of onepw v1. Never more stretchings at once than the configuration allows. */
@Injectable()
export class PasswordsService {
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  constructor(private readonly config: Config) {}

  /**
   * Makes the verifier of a new password, and the key that its wrapWrapKb is opened with.
   *
   * @param authPW - 32 bytes in hex
   */
  async make(authPW: string): Promise<Verifier & { wrapwrapKey: Uint8Array }> {
    const authSalt = randomBytes(32);
    const stretched = await this.stretch(authPW, authSalt);
    return {
      authSalt,
      verifyHash: Buffer.from(deriveVerifyHash(stretched)),
      wrapwrapKey: deriveWrapwrapKey(stretched),
    };
  }

  /**
   * Checks a password in constant time. Without a verifier (the address is unknown) it works as
   * long and says no, so that the time taken does not tell who has an account.
   *
   * @returns the key that opens wrapWrapKb, or undefined when the password is wrong
   */
  async check(authPW: string, verifier: Verifier | undefined): Promise<Uint8Array | undefined> {
    const stretched = await this.stretch(authPW, verifier?.authSalt ?? randomBytes(32));
    const isRight = timingSafeEqual(
      deriveVerifyHash(stretched),
      verifier?.verifyHash ?? randomBytes(32),
    );
    return isRight && verifier ? deriveWrapwrapKey(stretched) : undefined;
  }

  private async stretch(authPW: string, salt: Buffer): Promise<Buffer> {
    await this.turn();
    try {
      return await scrypt(Buffer.from(fromHex(authPW)), salt, 32, COST);
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  /** Who waited inherits the place of the one who leaves, so `running` does not change then. */
  private async turn(): Promise<void> {
    const { scryptConcurrency } = this.config.limits;
    if (this.running < scryptConcurrency) {
      this.running++;
      return;
    }
    if (this.waiting.length >= WAITING_MAX * scryptConcurrency) {
      throw new Failure('unavailable', 'Too many people are signing in. Try again shortly.', {
        headers: { 'retry-after': '5' },
        extra: { retryAfter: 5 },
      });
    }
    await new Promise<void>((go) => this.waiting.push(go));
  }
}
