import { Body, Controller, Get, HttpCode, Post, Query, UseGuards } from '@nestjs/common';
import {
  Login,
  type Reauthenticated,
  type SessionStatus,
  type SignedIn,
  VerifySessionCode,
} from '#lib/protocol';
import { LimitsService } from '../limits/limits.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AccountsService } from './accounts.service.ts';
import { AWAITED, fxaMethod } from './proofs.guard.ts';
import { AnySessionGuard, Session, SessionGuard } from './session.guard.ts';
import { SessionsService } from './sessions.service.ts';
import { VerificationService } from './verification.service.ts';

/** Sessions as Firefox Accounts has them: docs/protocol/accounts.md */
@Controller('auth/v1')
export class SessionsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly sessions: SessionsService,
    private readonly verification: VerificationService,
    private readonly limits: LimitsService,
  ) {}

  /** A session from before the account had a second factor goes on, below the least assurance. */
  @Get('session/status')
  @UseGuards(AnySessionGuard)
  status(@Session() session: Session): SessionStatus {
    const { uid, emailVerified, verified, factor, hasFactors } = session;
    return {
      state: verified ? 'verified' : 'unverified',
      uid,
      details: {
        accountEmailVerified: emailVerified,
        sessionVerificationMethod: fxaMethod(factor),
        sessionVerified: verified,
        sessionVerificationMeetsMinimumAAL: !hasFactors || factor !== null,
      },
      ...(session.awaitsFactor && {
        verificationMethod: AWAITED.verificationMethod,
        verificationReason: AWAITED.verificationReason,
      }),
    };
  }

  @Post('session/reauth')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  reauth(
    @Session() session: Session,
    @Body({ schema: Login }) asked: Login,
    @From() { client }: Visitor,
    @Query('keys') keys?: string,
  ): Promise<Reauthenticated> {
    const charged = { client, account: asked.email };
    return this.limits.guess('login', charged, () =>
      this.accounts.reauthenticate(session, asked, keys === 'true'),
    );
  }

  @Post('session/duplicate')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async duplicate(@Session() session: Session): Promise<SignedIn> {
    const { uid, verified } = session;
    return { uid, verified, ...(await this.sessions.duplicate(session)) };
  }

  @Post('session/verify_code')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async verifyCode(
    @Session() session: Session,
    @Body({ schema: VerifySessionCode }) { code }: VerifySessionCode,
    @From() { client }: Visitor,
  ): Promise<Record<string, never>> {
    const { uid, email, verified } = session;
    if (verified) return {};
    // By the address: whoever signs up with it anew has another uid, and no more guesses by that.
    await this.limits.guess('guess', { client, account: email }, () =>
      this.verification.verifyDigits(uid, code),
    );
    return {};
  }

  @Post('session/resend_code')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async resendCode(
    @Session() session: Session,
    @From() { client }: Visitor,
  ): Promise<Record<string, never>> {
    await this.limits.spend('mail', { client, account: session.email });
    if (!session.verified) await this.verification.mailDigits(session.uid, session.email);
    return {};
  }

  @Get('account/sessions')
  @UseGuards(SessionGuard)
  async list(@Session() { id: current, uid }: Session) {
    const sessions = await this.sessions.list(uid);
    return sessions.map(({ id, createdAt, usedAt }) => ({
      id: Buffer.from(id, 'base64url').toString('hex'),
      isCurrentDevice: id === current,
      createdTime: createdAt.getTime(),
      lastAccessTime: usedAt.getTime(),
    }));
  }
}
