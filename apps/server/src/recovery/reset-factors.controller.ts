import { Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import {
  type BackupCodeGiven,
  type Factors,
  GiveBackupCode,
  GivePasskey,
  GiveTotp,
  type TotpGiven,
} from '#lib/protocol';
import { AccountsService } from '../accounts/accounts.service.ts';
import type { GivenFactor } from '../accounts/proofs.guard.ts';
import { FactorsService, type Shown } from '../factors/factors.service.ts';
import { PasskeysService } from '../factors/passkeys.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AnyResetTokenGuard, Token } from './password-token.guard.ts';
import { type PasswordToken, PasswordTokensService } from './password-tokens.service.ts';

/** A token that was made for an account: every accountResetToken is. */
type OwnedToken = PasswordToken & { uid: string };

/** The second factor of who resets a password: docs/protocol/second-factors.md */
@Controller('auth/v1/totp/verify')
@UseGuards(AnyResetTokenGuard)
export class ResetFactorsController {
  constructor(
    private readonly accounts: AccountsService,
    private readonly factors: FactorsService,
    private readonly passkeys: PasskeysService,
    private readonly tokens: PasswordTokensService,
  ) {}

  @Get()
  list(@Token() { uid }: OwnedToken): Promise<Factors> {
    return this.factors.of(uid);
  }

  @Post()
  @HttpCode(200)
  async giveTotp(
    @Token() token: OwnedToken,
    @Body({ schema: GiveTotp }) { code }: GiveTotp,
    @From() from: Visitor,
  ): Promise<TotpGiven> {
    await this.take(token, { totp: code }, from);
    return { success: true };
  }

  @Post('recoveryCode')
  @HttpCode(200)
  giveBackupCode(
    @Token() token: OwnedToken,
    @Body({ schema: GiveBackupCode }) { code }: GiveBackupCode,
    @From() from: Visitor,
  ): Promise<BackupCodeGiven> {
    return this.take(token, { backupCode: code }, from);
  }

  @Post('passkey/start')
  @HttpCode(200)
  startPasskey(@Token() token: OwnedToken) {
    return this.passkeys.startProof(token);
  }

  @Post('passkey')
  @HttpCode(200)
  async givePasskey(
    @Token() token: OwnedToken,
    @Body({ schema: GivePasskey }) passkey: GivePasskey,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.take(token, { passkey }, from);
    return {};
  }

  /** Guesses count apart from those at a sign-in: whoever reads the mail must not lock that. */
  private async take(token: OwnedToken, shown: Shown, from: Visitor): Promise<BackupCodeGiven> {
    const { id, uid } = token;
    const { email = '' } = (await this.accounts.profile(uid)) ?? {};
    const prover = {
      ...{ id, uid, email, account: `reset ${uid}` },
      note: (tx: EntityManager, given: GivenFactor) => this.tokens.prove(tx, token, given),
    };
    return this.factors.take(prover, shown, from);
  }
}
