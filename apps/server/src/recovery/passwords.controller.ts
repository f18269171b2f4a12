import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import {
  DestroyAccount,
  FinishPasswordChange,
  type ForgotCodeSent,
  type ForgotCodeVerified,
  type ForgotOtpVerified,
  ForgotPassword,
  type ForgotStatus,
  type PasswordChangeStarted,
  ResetAccount,
  type SignedIn,
  StartPasswordChange,
  VerifyForgotCode,
  VerifyForgotOtp,
} from '#lib/protocol';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { SessionIfSentGuard } from '../oauth/session-if-sent.guard.ts';
import { EventsService } from '../events/events.service.ts';
import { LimitsService } from '../limits/limits.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AccountDestructionService } from './account-destruction.service.ts';
import { AccountResetService } from './account-reset.service.ts';
import { ForgottenPasswordsService } from './forgotten-passwords.service.ts';
import { PasswordChangeService } from './password-change.service.ts';
import {
  ChangeTokenGuard,
  ForgotTokenGuard,
  ResetTokenGuard,
  Token,
} from './password-token.guard.ts';
import type { PasswordToken } from './password-tokens.service.ts';

/** A token that was made for an account: all but some passwordForgotTokens are. */
type OwnedToken = PasswordToken & { uid: string };

/** New passwords, by the old one or by the address, and the account's end: docs/protocol/accounts.md */
@Controller('auth/v1')
export class PasswordsController {
  constructor(
    private readonly changes: PasswordChangeService,
    private readonly forgotten: ForgottenPasswordsService,
    private readonly resets: AccountResetService,
    private readonly destruction: AccountDestructionService,
    private readonly limits: LimitsService,
    private readonly events: EventsService,
  ) {}

  @Post('password/change/start')
  @HttpCode(200)
  @UseGuards(VerifiedSessionGuard)
  startChange(
    @Session() session: Session,
    @Body({ schema: StartPasswordChange }) asked: StartPasswordChange,
    @From() { client }: Visitor,
  ): Promise<PasswordChangeStarted> {
    const charged = { client, account: asked.email };
    return this.limits.guess('login', charged, () => this.changes.start(session, asked));
  }

  @Post('password/change/finish')
  @HttpCode(200)
  @UseGuards(ChangeTokenGuard)
  finishChange(
    @Token() token: OwnedToken,
    @Body({ schema: FinishPasswordChange }) asked: FinishPasswordChange,
    @From() from: Visitor,
    @Query('keys') keys?: string,
  ): Promise<SignedIn> {
    return this.fewAtOnce(token, from, () =>
      this.changes.finish(token, asked, keys === 'true', from),
    );
  }

  @Post('password/forgot/send_otp')
  @HttpCode(200)
  async sendOtp(
    @Body({ schema: ForgotPassword }) { email }: ForgotPassword,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.limits.spend('reset', { client: from.client, account: email });
    await this.forgotten.mailDigits(email);
    await this.events.record({ email }, 'account.password_reset_requested', from);
    return {};
  }

  @Post('password/forgot/verify_otp')
  @HttpCode(200)
  verifyOtp(
    @Body({ schema: VerifyForgotOtp }) asked: VerifyForgotOtp,
    @From() { client }: Visitor,
  ): Promise<ForgotOtpVerified> {
    const charged = { client, account: asked.email };
    return this.limits.guess('guess', charged, () => this.forgotten.verifyDigits(asked));
  }

  @Post('password/forgot/send_code')
  @HttpCode(200)
  async sendCode(
    @Body({ schema: ForgotPassword }) { email }: ForgotPassword,
    @From() from: Visitor,
  ): Promise<ForgotCodeSent> {
    await this.limits.spend('reset', { client: from.client, account: email });
    await this.events.record({ email }, 'account.password_reset_requested', from);
    return this.forgotten.mailCode(email);
  }

  @Post('password/forgot/resend_code')
  @HttpCode(200)
  @UseGuards(ForgotTokenGuard)
  async resendCode(@Token() token: PasswordToken, @From() { client }: Visitor) {
    await this.limits.spend('reset', { client, account: token.id });
    return this.forgotten.mailCodeAgain(token);
  }

  @Get('password/forgot/status')
  @UseGuards(ForgotTokenGuard)
  status(@Token() token: PasswordToken): ForgotStatus {
    return this.forgotten.status(token);
  }

  @Post('password/forgot/verify_code')
  @HttpCode(200)
  @UseGuards(ForgotTokenGuard)
  verifyCode(
    @Token() token: PasswordToken,
    @Body({ schema: VerifyForgotCode }) { code }: VerifyForgotCode,
  ): Promise<ForgotCodeVerified> {
    return this.forgotten.verifyCode(token, code);
  }

  @Post('account/reset')
  @HttpCode(200)
  @UseGuards(ResetTokenGuard)
  reset(
    @Token() token: OwnedToken,
    @Body({ schema: ResetAccount }) asked: ResetAccount,
    @From() from: Visitor,
    @Query('keys') keys?: string,
  ): Promise<SignedIn | Record<string, never>> {
    return this.fewAtOnce(token, from, () =>
      this.resets.reset(token, asked, keys === 'true', from),
    );
  }

  @Post('account/destroy')
  @HttpCode(200)
  @UseGuards(SessionIfSentGuard)
  async destroy(
    @Session() session: Session | undefined,
    @Body({ schema: DestroyAccount }) asked: DestroyAccount,
    @From() { client }: Visitor,
  ): Promise<Record<string, never>> {
    const charged = { client, account: asked.email };
    await this.limits.guess('login', charged, () => this.destruction.destroy(session, asked));
    return {};
  }

  /** Each costs a stretching or three, before the token is used up: no more at once than log-ins. */
  private fewAtOnce<T>(
    { uid }: OwnedToken,
    { client }: Visitor,
    work: () => Promise<T>,
  ): Promise<T> {
    return this.limits.guess('login', { client, account: uid }, work);
  }
}
