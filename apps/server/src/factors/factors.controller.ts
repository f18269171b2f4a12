import { Body, Controller, Delete, Get, HttpCode, Param, Post, UseGuards } from '@nestjs/common';
import {
  type BackupCodeGiven,
  type BackupCodes,
  type Factors,
  GiveBackupCode,
  GivePasskey,
  GiveTotp,
  type Passkey,
  PasskeyId,
  type PasskeyRegistered,
  RegisterPasskey,
  RenamePasskey,
  type TotpCreated,
  type TotpGiven,
} from '#lib/protocol';
import { RecentlyProvedGuard, StepUpService } from '../accounts/recently-proved.guard.ts';
import { AnySessionGuard, Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { FactorsService } from './factors.service.ts';
import { PasskeysService } from './passkeys.service.ts';

type Nothing = Record<string, never>;

/** Second factors: docs/protocol/second-factors.md */
@Controller('auth/v1')
export class FactorsController {
  constructor(
    private readonly factors: FactorsService,
    private readonly passkeys: PasskeysService,
    private readonly stepUp: StepUpService,
  ) {}

  /** Also for who has given the password alone: the page must know what to ask for. */
  @Get('factors')
  @UseGuards(AnySessionGuard)
  list(@Session() { uid }: Session): Promise<Factors> {
    return this.factors.of(uid);
  }

  @Get('totp/exists')
  @UseGuards(AnySessionGuard)
  async totpExists(@Session() { uid }: Session): Promise<{ exists: boolean; verified: boolean }> {
    const { totp } = await this.factors.of(uid);
    return { exists: totp, verified: totp };
  }

  @Post('totp/create')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  createTotp(@Session() session: Session): Promise<TotpCreated> {
    return this.factors.createTotp(session);
  }

  @Post('totp/destroy')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  async removeTotp(@Session() session: Session, @From() from: Visitor): Promise<Nothing> {
    await this.factors.removeTotp(session, from);
    return {};
  }

  /** As in FxA, the first code of a new authenticator is given here, too, and turns it on. */
  @Post('session/verify/totp')
  @HttpCode(200)
  @UseGuards(AnySessionGuard)
  async giveTotp(
    @Session() session: Session,
    @Body({ schema: GiveTotp }) { code }: GiveTotp,
    @From() from: Visitor,
  ): Promise<TotpGiven> {
    if (await this.factors.isUnproven(session.uid)) {
      this.stepUp.expectProved(session);
      const codes = await this.factors.enableTotp(session, code, from);
      return { success: true, ...(codes && { recoveryCodes: codes }) };
    }
    await this.factors.verifySession(session, { totp: code }, from);
    return { success: true };
  }

  @Post('session/verify/recoveryCode')
  @HttpCode(200)
  @UseGuards(AnySessionGuard)
  giveBackupCode(
    @Session() session: Session,
    @Body({ schema: GiveBackupCode }) { code }: GiveBackupCode,
    @From() from: Visitor,
  ): Promise<BackupCodeGiven> {
    return this.factors.verifySession(session, { backupCode: code }, from);
  }

  @Post('session/verify/passkey/start')
  @HttpCode(200)
  @UseGuards(AnySessionGuard)
  startPasskey(@Session() session: Session) {
    return this.passkeys.startProof(session);
  }

  @Post('session/verify/passkey')
  @HttpCode(200)
  @UseGuards(AnySessionGuard)
  async givePasskey(
    @Session() session: Session,
    @Body({ schema: GivePasskey }) passkey: GivePasskey,
    @From() from: Visitor,
  ): Promise<Nothing> {
    await this.factors.verifySession(session, { passkey }, from);
    return {};
  }

  @Get('recoveryCodes/exists')
  @UseGuards(VerifiedSessionGuard)
  async backupCodes(
    @Session() { uid }: Session,
  ): Promise<{ hasBackupCodes: boolean; count: number }> {
    const { backupCodes: count } = await this.factors.of(uid);
    return { hasBackupCodes: count > 0, count };
  }

  @Post('recoveryCodes')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  async replaceBackupCodes(
    @Session() session: Session,
    @From() from: Visitor,
  ): Promise<BackupCodes> {
    return { recoveryCodes: await this.factors.replaceBackupCodes(session, from) };
  }

  @Get('passkeys')
  @UseGuards(VerifiedSessionGuard)
  listPasskeys(@Session() { uid }: Session): Promise<Passkey[]> {
    return this.passkeys.list(uid);
  }

  @Post('passkey/registration/start')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  startRegistration(@Session() session: Session) {
    return this.passkeys.startRegistration(session, session.email);
  }

  @Post('passkey/registration/finish')
  @HttpCode(200)
  @UseGuards(RecentlyProvedGuard)
  register(
    @Session() session: Session,
    @Body({ schema: RegisterPasskey }) asked: RegisterPasskey,
    @From() from: Visitor,
  ): Promise<PasskeyRegistered> {
    return this.factors.addPasskey(session, asked, from);
  }

  @Post('passkey/rename')
  @HttpCode(200)
  @UseGuards(VerifiedSessionGuard)
  async rename(
    @Session() { uid }: Session,
    @Body({ schema: RenamePasskey }) { credentialId, name }: RenamePasskey,
  ): Promise<Nothing> {
    await this.passkeys.rename(uid, credentialId, name);
    return {};
  }

  @Delete('passkey/:id')
  @UseGuards(RecentlyProvedGuard)
  async remove(
    @Session() session: Session,
    @Param('id', { schema: PasskeyId }) id: string,
    @From() from: Visitor,
  ): Promise<Nothing> {
    await this.factors.removePasskey(session, id, from);
    return {};
  }
}
