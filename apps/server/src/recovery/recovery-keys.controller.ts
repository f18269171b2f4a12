import { Body, Controller, Delete, Get, HttpCode, Param, Post, UseGuards } from '@nestjs/common';
import {
  CreateRecoveryKey,
  type RecoveryData,
  RecoveryKeyHint,
  RecoveryKeyId,
  VerifyRecoveryKey,
} from '#lib/protocol';
import { RecentlyProvedGuard } from '../accounts/recently-proved.guard.ts';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { Owner, ResetTokenGuard, SessionOrResetGuard, Token } from './password-token.guard.ts';
import { RecoveryKeysService } from './recovery-keys.service.ts';

type Nothing = Record<string, never>;

/** Recovery keys: docs/protocol/accounts.md */
@Controller('auth/v1/recoveryKey')
export class RecoveryKeysController {
  constructor(private readonly keys: RecoveryKeysService) {}

  @Post()
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  async create(
    @Session() session: Session,
    @Body({ schema: CreateRecoveryKey }) asked: CreateRecoveryKey,
    @From() from: Visitor,
  ): Promise<Nothing> {
    await this.keys.create(session, asked, from);
    return {};
  }

  @Delete()
  @UseGuards(RecentlyProvedGuard)
  async remove(@Session() session: Session, @From() from: Visitor): Promise<Nothing> {
    await this.keys.remove(session, from);
    return {};
  }

  @Post('verify')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  async verify(
    @Session() session: Session,
    @Body({ schema: VerifyRecoveryKey }) { recoveryKeyId }: VerifyRecoveryKey,
    @From() from: Visitor,
  ): Promise<Nothing> {
    await this.keys.verify(session, recoveryKeyId, from);
    return {};
  }

  @Post('exists')
  @HttpCode(200)
  @UseGuards(SessionOrResetGuard)
  async exists(@Owner() uid: string): Promise<{ exists: boolean }> {
    return { exists: await this.keys.exists(uid) };
  }

  @Get('hint')
  @UseGuards(SessionOrResetGuard)
  async hint(@Owner() uid: string): Promise<{ hint: string | null }> {
    return { hint: await this.keys.hint(uid) };
  }

  @Post('hint')
  @HttpCode(200)
  @UseGuards(VerifiedSessionGuard)
  async setHint(
    @Session() { uid }: Session,
    @Body({ schema: RecoveryKeyHint }) { hint }: RecoveryKeyHint,
  ): Promise<Nothing> {
    await this.keys.setHint(uid, hint);
    return {};
  }

  @Get(':id')
  @UseGuards(ResetTokenGuard)
  async data(
    @Token() { uid }: { uid: string },
    @Param('id', { schema: RecoveryKeyId }) id: string,
  ): Promise<RecoveryData> {
    return { recoveryData: await this.keys.data(uid, id) };
  }
}
