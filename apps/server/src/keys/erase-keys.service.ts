import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { DeletionsService } from '../deletion/deletions.service.ts';
import { KeyListEntity } from './key-list.entity.ts';

/**
 * Forgets the key lists of accounts that were deleted. A uid is never used again, so no other list
 * can take their place.
 */
@Injectable()
export class EraseKeysService implements OnModuleInit {
  constructor(
    @InjectRepository(KeyListEntity) private readonly lists: Repository<KeyListEntity>,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('keys', async (uid) => {
      await this.lists.delete({ uid });
      return undefined;
    });
  }
}
