import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import {
  AskAccountStatus,
  CreateAccount,
  type EmailStatus,
  type KeysBundle,
  Login,
  type SignedIn,
  Uid,
  VerifyEmail,
} from '#lib/protocol';
import { AccountsService } from './accounts.service.ts';
import { KeyFetchGuard, KeyFetchId } from './key-fetch.guard.ts';
import { Session, SessionGuard } from './session.guard.ts';
import { SessionsService } from './sessions.service.ts';
import { VerificationService } from './verification.service.ts';

/** Accounts as Firefox Accounts has them: docs/protocol/accounts.md */
@Controller('auth/v1')
export class AccountsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly sessions: SessionsService,
    private readonly verification: VerificationService,
  ) {}

  @Post('account/create')
  @HttpCode(200)
  create(
    @Body({ schema: CreateAccount }) asked: CreateAccount,
    @Query('keys') keys?: string,
  ): Promise<SignedIn> {
    return this.accounts.create(asked, keys === 'true');
  }

  @Post('account/login')
  @HttpCode(200)
  login(@Body({ schema: Login }) asked: Login, @Query('keys') keys?: string): Promise<SignedIn> {
    return this.accounts.login(asked, keys === 'true');
  }

  @Get('account/keys')
  @UseGuards(KeyFetchGuard)
  async keys(@KeyFetchId() id: string): Promise<KeysBundle> {
    return { bundle: await this.sessions.takeKeys(id) };
  }

  @Get('account/status')
  async statusOfUid(@Query('uid', { schema: Uid }) uid: string): Promise<{ exists: boolean }> {
    return { exists: await this.accounts.exists({ uid }) };
  }

  @Post('account/status')
  @HttpCode(200)
  async statusOfEmail(
    @Body({ schema: AskAccountStatus }) { email }: AskAccountStatus,
  ): Promise<{ exists: boolean }> {
    return { exists: await this.accounts.exists({ email }) };
  }

  @Get('recovery_email/status')
  @UseGuards(SessionGuard)
  emailStatus(@Session() { email, verified }: Session): EmailStatus {
    // Signing in needs no second step here, so a session is as verified as its account.
    return { email, verified, emailVerified: verified, sessionVerified: verified };
  }

  @Post('recovery_email/verify_code')
  @HttpCode(200)
  async verifyCode(
    @Body({ schema: VerifyEmail }) asked: VerifyEmail,
  ): Promise<Record<string, never>> {
    await this.verification.verify(asked);
    return {};
  }

  @Post('recovery_email/resend_code')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async resendCode(@Session() session: Session): Promise<Record<string, never>> {
    if (!session.verified) await this.verification.mailCode(session.uid, session.email);
    return {};
  }

  @Get('session/status')
  @UseGuards(SessionGuard)
  sessionStatus(@Session() { uid, verified }: Session) {
    return {
      state: verified ? 'verified' : 'unverified',
      uid,
      details: {
        accountEmailVerified: verified,
        sessionVerificationMethod: null,
        sessionVerified: verified,
        sessionVerificationMeetsMinimumAAL: true,
      },
    };
  }

  @Post('session/destroy')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async destroySession(@Session() session: Session): Promise<Record<string, never>> {
    await this.sessions.end(session.id);
    return {};
  }
}
