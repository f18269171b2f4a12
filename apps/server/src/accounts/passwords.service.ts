import { randomBytes, scrypt as scryptCallback, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { Injectable } from '@nestjs/common';
import { deriveVerifyHash, deriveWrapwrapKey, fromHex, xor } from '#lib/crypto';
import { Failure, type NewPassword } from '#lib/protocol';
import { Config } from '../platform/config.ts';

const scrypt = promisify<Buffer, Buffer, number, object, Buffer>(scryptCallback);

/** onepw v1: 64 MiB and about a tenth of a second each. */
const COST = { N: 65_536, r: 8, p: 1, maxmem: 80 * 1024 * 1024 };
/** What a stretching takes before one was timed, in seconds. */
const SECONDS_EACH = 0.2;

/** A password as the account table keeps it. 32 bytes each; v2 is there whole or not at all. */
export interface Verifier {
  /** One for both stretchings: a check is one scrypt, whichever of them the client did. */
  authSalt: Buffer;
  verifyHash: Buffer;
  wrapWrapKb: Buffer;
  verifyHashV2: Buffer | null;
  wrapWrapKbV2: Buffer | null;
}

/** kB, wrapped by what the client stretched to, 32 bytes; by v1, v2 or both. */
export interface WrapKb {
  v1?: Uint8Array;
  v2?: Uint8Array;
}

/** The server's half of onepw. Never more stretchings at once than the configuration allows. */
@Injectable()
export class PasswordsService {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private secondsEach = SECONDS_EACH;

  constructor(private readonly config: Config) {}

  /**
   * Makes the verifier of a new password, with a new salt: together with the old one, what is
   * stored would open kB's wrapping. Without `wrapKb` it wraps a new kB that nobody knows yet.
   */
  async make(
    asked: NewPassword,
  ): Promise<{ verifier: Verifier & { clientSalt: string | null }; wrapKb: WrapKb }> {
    const authSalt = randomBytes(32);
    const { authPWVersion2, wrapKbVersion2, clientSalt } = asked;
    const hasV2 =
      authPWVersion2 !== undefined && wrapKbVersion2 !== undefined && clientSalt !== undefined;
    const [v1, v2] = await Promise.all([
      this.stretch(asked.authPW, authSalt),
      hasV2 ? this.stretch(authPWVersion2, authSalt) : undefined,
    ]);
    const wrapKb = asked.wrapKb === undefined ? randomBytes(32) : fromHex(asked.wrapKb);
    const verifier = {
      authSalt,
      verifyHash: v1.verifyHash,
      wrapWrapKb: Buffer.from(xor(wrapKb, v1.wrapwrapKey)),
    };
    if (!v2 || !hasV2) {
      const none = { clientSalt: null, verifyHashV2: null, wrapWrapKbV2: null };
      return { verifier: { ...verifier, ...none }, wrapKb: { v1: wrapKb } };
    }
    const wrapKbV2 = fromHex(wrapKbVersion2);
    return {
      verifier: {
        ...verifier,
        clientSalt,
        verifyHashV2: v2.verifyHash,
        wrapWrapKbV2: Buffer.from(xor(wrapKbV2, v2.wrapwrapKey)),
      },
      wrapKb: { v1: wrapKb, v2: wrapKbV2 },
    };
  }

  /**
   * Checks a password, by either stretching, in constant time. Without a verifier (the address is
   * unknown) it works as long and says no, so that the time taken does not tell who has an account.
   *
   * @param authPW - 32 bytes in hex
   * @returns undefined when the password is wrong
   */
  async check(authPW: string, verifier: Verifier | undefined): Promise<WrapKb | undefined> {
    const nothing = randomBytes(32);
    const { authSalt, verifyHash, verifyHashV2, wrapWrapKb, wrapWrapKbV2 } = verifier ?? {
      ...{ authSalt: nothing, verifyHash: nothing, wrapWrapKb: nothing },
      ...{ verifyHashV2: null, wrapWrapKbV2: null },
    };
    const given = await this.stretch(authPW, authSalt);
    const isV1 = timingSafeEqual(given.verifyHash, verifyHash);
    const isV2 = timingSafeEqual(given.verifyHash, verifyHashV2 ?? nothing);
    if (!verifier) return undefined;
    if (isV1) return { v1: xor(wrapWrapKb, given.wrapwrapKey) };
    return isV2 && wrapWrapKbV2 ? { v2: xor(wrapWrapKbV2, given.wrapwrapKey) } : undefined;
  }

  private async stretch(authPW: string, salt: Buffer) {
    await this.turn();
    try {
      const begun = performance.now();
      const stretched = await scrypt(Buffer.from(fromHex(authPW)), salt, 32, COST);
      this.secondsEach += ((performance.now() - begun) / 1000 - this.secondsEach) / 8;
      return {
        verifyHash: Buffer.from(deriveVerifyHash(stretched)),
        wrapwrapKey: deriveWrapwrapKey(stretched),
      };
    } finally {
      const next = this.waiting.shift();
      if (next) next();
      else this.running--;
    }
  }

  /**
   * First come, first served. Who waited inherits the place of the one who leaves, so `running` does
   * not change then.
   */
  private async turn(): Promise<void> {
    const { scryptConcurrency, scryptWaitingMax } = this.config.limits;
    if (this.running < scryptConcurrency) {
      this.running++;
      return;
    }
    if (this.waiting.length >= scryptWaitingMax) {
      const wait = (this.waiting.length * this.secondsEach) / scryptConcurrency;
      const retryAfter = Math.max(1, Math.ceil(wait));
      throw new Failure('unavailable', 'Too many people are signing in. Try again shortly.', {
        headers: { 'retry-after': String(retryAfter) },
        extra: { retryAfter },
      });
    }
    await new Promise<void>((go) => this.waiting.push(go));
  }
}
