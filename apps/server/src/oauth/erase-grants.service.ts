import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { DeletionsService } from '../deletion/deletions.service.ts';

/** Forgets what sessions that were deleted with the account did not take along. */
@Injectable()
export class EraseGrantsService implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('grants', async (uid) => {
      await this.db.query(`DELETE FROM oidc WHERE payload->>'accountId' = $1`, [uid]);
      return undefined;
    });
  }
}
