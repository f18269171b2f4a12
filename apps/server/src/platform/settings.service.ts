import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Config } from './config.ts';

/** What the server made for itself at first boot and keeps in its database. */
@Injectable()
export class SettingsService {
  private readonly known = new Map<string, Promise<string>>();

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly config: Config,
  ) {}

  /** The server's name in everything cryptographic: 16 random bytes, base64url. Never changes. */
  realm(): Promise<string> {
    return this.getOrMake('realm', () => randomBytes(16).toString('base64url'));
  }

  /** The secrets that storage tokens are minted from; the newest is last and mints. */
  async syncSecrets(): Promise<[string, ...string[]]> {
    const list =
      this.config.syncMasterSecret ??
      (await this.getOrMake('sync-master-secret', () => randomBytes(32).toString('base64url')));
    const [first = '', ...others] = list.split(',').map((secret) => secret.trim());
    return [first, ...others];
  }

  /** The value of this name; made, once, by whichever process is first. */
  getOrMake(name: string, make: () => string | Promise<string>): Promise<string> {
    let value = this.known.get(name);
    if (!value) {
      value = this.readOrMake(name, make);
      this.known.set(name, value);
      value.catch(() => this.known.delete(name));
    }
    return value;
  }

  private async readOrMake(name: string, make: () => string | Promise<string>): Promise<string> {
    const read = async () => {
      const rows = await this.db.query<{ value: string }[]>(
        'SELECT value FROM setting WHERE name = $1',
        [name],
      );
      return rows[0]?.value;
    };
    const found = await read();
    if (found !== undefined) return found;
    await this.db.query('INSERT INTO setting VALUES ($1, $2) ON CONFLICT DO NOTHING', [
      name,
      await make(),
    ]);
    const made = await read();
    if (made === undefined) throw new Error(`setting ${name} was removed while it was being made`);
    return made;
  }
}
