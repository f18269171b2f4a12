import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, IsNull } from 'typeorm';
import { DeletionsService } from '../deletion/deletions.service.ts';
import { Clock } from '../platform/clock.ts';
import { ReplacedStoresService } from './replaced-stores.service.ts';
import { StorageUserEntity } from './storage-user.entity.ts';

/** Has the nodes delete the stores of accounts that were deleted, as they do replaced ones. */
@Injectable()
export class EraseStoresService implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly replaced: ReplacedStoresService,
    private readonly clock: Clock,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('stores', (uid) => this.erase(uid));
  }

  private async erase(accountId: string): Promise<string | undefined> {
    const inUse = { accountId, replacedAt: IsNull() };
    await this.db.manager.update(StorageUserEntity, inUse, { replacedAt: this.clock.now() });
    this.replaced.hurry();
    await this.replaced.settled();
    const left = await this.db.manager.find(StorageUserEntity, {
      where: { accountId, purgedAt: IsNull() },
      order: { node: 'ASC' },
    });
    if (left.length > 0) {
      const nodes = [...new Set(left.map(({ node }) => node))];
      return `${left.length} to be deleted on ${nodes.join(', ')}`;
    }
    await this.db.manager.delete(StorageUserEntity, { accountId });
    return undefined;
  }
}
