import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import {
  type AccountSettings,
  AskAccountStatus,
  AskCredentialsStatus,
  CreateAccount,
  type CredentialsStatus,
  type EmailStatus,
  type KeysBundle,
  Login,
  type SignedIn,
  Uid,
  VerifyEmail,
} from '#lib/protocol';
import { EventsService } from '../events/events.service.ts';
import { LimitsService } from '../limits/limits.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AccountsService } from './accounts.service.ts';
import { CredentialsService } from './credentials.service.ts';
import { KeyFetchGuard, KeyFetchId } from './key-fetch.guard.ts';
import { AWAITED } from './proofs.guard.ts';
import { AnySessionGuard, Session, SessionGuard } from './session.guard.ts';
import { SessionsService } from './sessions.service.ts';
import { UnblockService } from './unblock.service.ts';
import { VerificationService } from './verification.service.ts';

/** Accounts as Firefox Accounts has them: docs/protocol/accounts.md */
@Controller('auth/v1')
export class AccountsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly credentials: CredentialsService,
    private readonly sessions: SessionsService,
    private readonly verification: VerificationService,
    private readonly unblock: UnblockService,
    private readonly limits: LimitsService,
    private readonly events: EventsService,
  ) {}

  @Post('account/create')
  @HttpCode(200)
  async create(
    @Body({ schema: CreateAccount }) asked: CreateAccount,
    @From() from: Visitor,
    @Query('keys') keys?: string,
  ): Promise<SignedIn> {
    const { client } = from;
    await this.limits.spend('sign-up', { client });
    // Whoever signs up an address again and again fills a stranger's mailbox. One that is taken gets
    // no mail, and its owner may need what mail is left to be let in.
    const isTaken = (await this.accounts.ownerOf(asked.email)) !== undefined;
    if (asked.invitation === undefined && !isTaken) {
      await this.limits.spend('mail', { client, account: asked.email });
    }
    const signedIn = await this.accounts.create(asked, keys === 'true');
    await this.events.record(signedIn, 'account.create', from);
    return signedIn;
  }

  @Post('account/login')
  @HttpCode(200)
  login(
    @Body({ schema: Login }) asked: Login,
    @From() from: Visitor,
    @Query('keys') keys?: string,
  ): Promise<SignedIn> {
    return this.unblock.admit(asked, from, () => this.accounts.login(asked, keys === 'true'));
  }

  @Post('account/credentials/status')
  @HttpCode(200)
  async credentialsStatus(
    @Body({ schema: AskCredentialsStatus }) { email }: AskCredentialsStatus,
    @From() { client }: Visitor,
  ): Promise<CredentialsStatus> {
    await this.limits.spend('status', { client });
    return this.credentials.status(email);
  }

  @Get('account')
  @UseGuards(SessionGuard)
  describe(@Session() { uid }: Session): Promise<AccountSettings> {
    return this.accounts.describe(uid);
  }

  @Get('account/profile')
  @UseGuards(SessionGuard)
  profile(@Session() { email, generation, hasFactors }: Session) {
    return {
      email,
      locale: 'en',
      authenticationMethods: ['pwd', 'email', ...(hasFactors ? ['otp'] : [])],
      authenticatorAssuranceLevel: hasFactors ? 2 : 1,
      profileChangedAt: generation,
    };
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
    @From() { client }: Visitor,
  ): Promise<{ exists: boolean }> {
    await this.limits.spend('status', { client });
    return { exists: await this.accounts.exists({ email }) };
  }

  @Get('recovery_email/status')
  @UseGuards(AnySessionGuard)
  emailStatus(@Session() session: Session): EmailStatus {
    const { email, verified, emailVerified, awaitsFactor } = session;
    return {
      ...{ email, verified, emailVerified, sessionVerified: verified },
      ...(awaitsFactor && AWAITED),
    };
  }

  @Get('recovery_emails')
  @UseGuards(SessionGuard)
  emails(@Session() { email, verified }: Session) {
    return [{ email, isPrimary: true, verified }];
  }

  @Post('recovery_email/verify_code')
  @HttpCode(200)
  async verifyCode(
    @Body({ schema: VerifyEmail }) asked: VerifyEmail,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    const charged = { client: from.client, account: asked.uid };
    const isNew = await this.limits.guess('guess', charged, () => this.verification.verify(asked));
    if (isNew) await this.events.record(asked, 'account.email_verified', from);
    return {};
  }

  @Post('recovery_email/resend_code')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async resendCode(
    @Session() { uid, email, verified }: Session,
    @From() { client }: Visitor,
  ): Promise<Record<string, never>> {
    if (verified) return {};
    await this.limits.spend('mail', { client, account: email });
    await this.verification.mailCode(uid, email);
    return {};
  }
}
