import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { AskUnblockCode, RejectUnblockCode } from '#lib/protocol';
import { From, type Visitor } from '../platform/visitor.ts';
import { UnblockService } from './unblock.service.ts';

/** The way in for whom others have locked out: docs/protocol/accounts.md */
@Controller('auth/v1/account/login')
export class UnblockController {
  constructor(private readonly unblock: UnblockService) {}

  @Post('send_unblock_code')
  @HttpCode(200)
  async sendCode(
    @Body({ schema: AskUnblockCode }) { email }: AskUnblockCode,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.unblock.mailCode(email, from);
    return {};
  }

  @Post('reject_unblock_code')
  @HttpCode(200)
  async rejectCode(
    @Body({ schema: RejectUnblockCode }) { uid, unblockCode }: RejectUnblockCode,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.unblock.reject(uid, unblockCode, from);
    return {};
  }
}
