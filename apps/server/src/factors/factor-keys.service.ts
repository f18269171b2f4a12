import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure } from '#lib/protocol';
import { Config } from '../platform/config.ts';
import { SettingsService } from '../platform/settings.service.ts';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The keys under which secrets of authenticators and backup codes are stored. With FACTORS_SECRET they
 * are not in the database, and a copy of it alone reveals neither; without, they are a row of it.
 */
@Injectable()
export class FactorKeysService implements OnApplicationBootstrap {
  private readonly logger = new Logger('factors');
  private isLossTold = false;

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly config: Config,
    private readonly settings: SettingsService,
  ) {}

  /** Tells the operator at once, not when the first person cannot sign in. */
  async onApplicationBootstrap(): Promise<void> {
    const [newest] = await this.db.query<{ uid: string; secret: Buffer }[]>(
      `SELECT uid, secret FROM totp ORDER BY created_at DESC LIMIT 1`,
    );
    if (newest && !(await this.tryToOpen(newest.uid, newest.secret))) this.tellLoss();
  }

  /** Encrypts for one account: IV, ciphertext, tag. */
  async seal(uid: string, plain: Uint8Array): Promise<Buffer> {
    const [key] = await this.keys('seal');
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(uid));
    return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }

  /** @throws Failure `unavailable` when no key that is known opens it: the operator lost FACTORS_SECRET */
  async open(uid: string, sealed: Buffer): Promise<Buffer> {
    const opened = await this.tryToOpen(uid, sealed);
    if (opened) return opened;
    this.tellLoss();
    throw new Failure(
      'unavailable',
      'The server has lost the key to its authenticators’ secrets. Tell whoever runs it.',
    );
  }

  private async tryToOpen(uid: string, sealed: Buffer): Promise<Buffer | undefined> {
    const iv = sealed.subarray(0, IV_BYTES);
    const body = sealed.subarray(IV_BYTES, -TAG_BYTES);
    for (const key of await this.keys('seal')) {
      const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(uid));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(body), decipher.final()]);
      } catch {
        continue;
      }
    }
    return undefined;
  }

  /** Once in a process: it stays so until another one has the secret. */
  private tellLoss(): void {
    if (this.isLossTold) return;
    this.isLossTold = true;
    this.logger.error({
      event: 'factors-secret-lost',
      reason: 'Secrets of authenticators are under a key that FACTORS_SECRET does not name',
    });
  }

  /** What a code is known by: under the newest key first, and under each older one. */
  async hashes(uid: string, code: string): Promise<[Buffer, ...Buffer[]]> {
    const hash = (key: Buffer) => createHmac('sha256', key).update(`${uid} ${code}`).digest();
    const [newest, ...older] = await this.keys('hash');
    return [hash(newest), ...older.map(hash)];
  }

  /** The newest of FACTORS_SECRET first, and at last the one that the server made for itself. */
  private async keys(purpose: 'seal' | 'hash'): Promise<[Buffer, ...Buffer[]]> {
    const made = await this.settings.getOrMake('factors-secret', () =>
      randomBytes(32).toString('base64url'),
    );
    const derive = (secret: string) =>
      Buffer.from(hkdfSync('sha256', secret, '', `lockstep/v1/factors/${purpose}`, 32));
    const [newest = made, ...older] = [...this.config.factorsSecrets].reverse();
    const rest = this.config.factorsSecrets.length > 0 ? [...older, made] : [];
    return [derive(newest), ...rest.map(derive)];
  }
}
