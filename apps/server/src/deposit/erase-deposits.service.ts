import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { DeletionsService } from '../deletion/deletions.service.ts';
import { DepositEntity } from './deposit.entity.ts';

/**
 * Forgets who left what for whom. What was delivered is a record in the recipient's own store, and
 * stays his.
 */
@Injectable()
export class EraseDepositsService implements OnModuleInit {
  constructor(
    @InjectRepository(DepositEntity) private readonly deposits: Repository<DepositEntity>,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('deposits', async (uid) => {
      await this.deposits.delete({ recipient: uid });
      await this.deposits.delete({ sender: uid });
      return undefined;
    });
  }
}
