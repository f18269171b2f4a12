import { Body, Controller, HttpCode, Param, Put, UseGuards } from '@nestjs/common';
import { ClientId, Deposit, RandomId, Uid } from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { DepositService } from './deposit.service.ts';
import { DepositSizeGuard } from './deposit-size.guard.ts';

/** Sharing: docs/protocol/sharing.md */
@Controller('deposit/v1')
export class DepositController {
  constructor(private readonly deposits: DepositService) {}

  @Put(':uid/:app/:id')
  @HttpCode(202)
  @Requires('share', 'share:send')
  @UseGuards(DepositSizeGuard)
  put(
    @Caller() caller: Grant,
    @Param('uid', { schema: Uid }) uid: string,
    @Param('app', { schema: ClientId }) app: string,
    @Param('id', { schema: RandomId }) id: string,
    @Body({ schema: Deposit }) deposit: Deposit,
  ): Promise<void> {
    return this.deposits.put(caller, { uid, app, id }, deposit);
  }
}
