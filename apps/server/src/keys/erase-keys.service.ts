import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { DeletionsService } from '../deletion/deletions.service.ts';

/**
 * Forgets the keys of accounts that were deleted, whom they looked for, and who looked for them. A uid
 * is never used again, so no other list can take their place.
 */
@Injectable()
export class EraseKeysService implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('keys', async (uid) => {
      for (const table of ['key_member', 'key_list', 'key_package', 'key_spending']) {
        await this.db.query(`DELETE FROM ${table} WHERE uid = $1`, [uid]);
      }
      await this.db.query(`DELETE FROM key_contact WHERE uid = $1 OR target || '' = $1`, [uid]);
      return undefined;
    });
  }
}
