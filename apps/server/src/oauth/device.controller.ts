import { Body, Controller, Header, HttpCode, Post, UseGuards } from '@nestjs/common';
import { AskDeviceDetails, DeviceDetails, Failure, FinishDevice } from '#lib/protocol';
import { Session } from '../accounts/session.guard.ts';
import { EventsService } from '../events/events.service.ts';
import { LimitsService } from '../limits/limits.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AnswersService } from './answers.service.ts';
import { DeviceCodesService, type WaitingDevice } from './device-codes.service.ts';
import { SameOriginGuard } from './same-origin.guard.ts';
import { SessionIfSentGuard } from './session-if-sent.guard.ts';

/** Where an account answers a device that shows a code (RFC 8628 §3.3): docs/protocol/oauth.md */
@Controller('oauth2/device')
@UseGuards(SameOriginGuard, SessionIfSentGuard)
export class DeviceController {
  constructor(
    private readonly codes: DeviceCodesService,
    private readonly answers: AnswersService,
    private readonly limits: LimitsService,
    private readonly events: EventsService,
  ) {}

  /** By POST, so that the code stands in no address. */
  @Post('details')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async details(
    @Session() session: Session | undefined,
    @Body({ schema: AskDeviceDetails }) { user_code: typed }: AskDeviceDetails,
    @From() from: Visitor,
  ): Promise<DeviceDetails> {
    const device = await this.waiting(typed, session, from);
    return {
      ...(await this.answers.asked(device.id, device.params, session)),
      user_code: device.userCode.replace(/^.{4}/, '$&-'),
      expires_in: device.expiresIn,
      device: {
        program: this.events.programOf(device),
        same_network: device.client === from.client,
      },
    };
  }

  /** Only what was shown is answered: `uid` names the very question that the code led to. */
  @Post('finish')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async finish(
    @Session() session: Session | undefined,
    @Body({ schema: FinishDevice }) answer: FinishDevice,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    const device = await this.waiting(answer.user_code, session, from, answer.uid);
    if (!answer.consent) {
      if (!(await this.codes.refuse(device))) throw wrongCode();
      return {};
    }
    await this.answers.grant(session, device.params, answer, from, async (given, tx) => {
      if (!(await this.codes.approve(device, given, tx))) throw wrongCode();
    });
    return {};
  }

  /**
   * The device that shows what was typed. Every wrong code is a guess, whoever types it; on the account it counts
   * apart from those that strangers may make at it.
   */
  private waiting(
    typed: string,
    session: Session | undefined,
    { client }: Visitor,
    uid?: string,
  ): Promise<WaitingDevice> {
    const [kind, charged] = session
      ? (['guess', { client, account: `device ${session.uid}` }] as const)
      : (['guess-by-stranger', { client }] as const);
    return this.limits.guess(kind, charged, async () => {
      const device = await this.codes.find(typed);
      if (!device || (uid !== undefined && uid !== device.id)) throw wrongCode();
      return device;
    });
  }
}

const wrongCode = () =>
  new Failure('unknown-user-code', 'No device shows this code, or it is too old.');
