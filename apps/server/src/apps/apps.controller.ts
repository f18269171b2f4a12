import {
  Body,
  Controller,
  Delete,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Put,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  type App,
  AppFields,
  type AppList,
  type AppWithSecret,
  Failure,
  RotateSecret,
} from '#lib/protocol';
import { RecentlyProvedGuard } from '../accounts/recently-proved.guard.ts';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { LimitsService } from '../limits/limits.service.ts';
import { Config } from '../platform/config.ts';
import { pictureHeaders } from '../platform/picture.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { checkFields } from './app-fields.ts';
import { AppsService } from './apps.service.ts';

/** Apps, for the pages of developers and of the operator: docs/apps.md */
@Controller('apps/v1/apps')
export class AppsController {
  constructor(
    private readonly apps: AppsService,
    private readonly limits: LimitsService,
    private readonly config: Config,
  ) {}

  @Get()
  @UseGuards(VerifiedSessionGuard)
  @Header('cache-control', 'no-store')
  async list(@Session() { uid }: Session): Promise<AppList> {
    const keeper = await this.apps.keeper(uid);
    return {
      apps: await this.apps.list(keeper),
      may_register: keeper.isOperator || this.config.appRegistration === 'anyone',
      is_operator: keeper.isOperator,
    };
  }

  @Post()
  @UseGuards(RecentlyProvedGuard)
  @Header('cache-control', 'no-store')
  async register(
    @Session() { uid }: Session,
    @Body({ schema: AppFields }) fields: AppFields,
    @From() { client }: Visitor,
  ): Promise<AppWithSecret> {
    const keeper = await this.apps.keeper(uid);
    if (!keeper.isOperator && this.config.appRegistration !== 'anyone') {
      throw new Failure('forbidden', 'On this server the operator registers apps.');
    }
    // Ten a day are few: what was mistyped is not one of them.
    checkFields(fields, this.config.publicUrl.origin);
    await this.limits.spend('app', { client, account: uid });
    return this.apps.register(keeper, fields);
  }

  @Get(':id')
  @UseGuards(VerifiedSessionGuard)
  @Header('cache-control', 'no-store')
  async show(@Session() { uid }: Session, @Param('id') id: string): Promise<App> {
    return this.apps.show(await this.apps.keeper(uid), id);
  }

  @Put(':id')
  @UseGuards(RecentlyProvedGuard)
  @Header('cache-control', 'no-store')
  async update(
    @Session() { uid }: Session,
    @Param('id') id: string,
    @Body({ schema: AppFields }) fields: AppFields,
    @From() { client }: Visitor,
  ): Promise<AppWithSecret> {
    await this.limits.spend('app-change', { client, account: uid });
    return this.apps.update(await this.apps.keeper(uid), id, fields);
  }

  @Post(':id/secret')
  @UseGuards(RecentlyProvedGuard)
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async rotateSecret(
    @Session() { uid }: Session,
    @Param('id') id: string,
    @Body({ schema: RotateSecret }) { now }: RotateSecret,
    @From() { client }: Visitor,
  ): Promise<AppWithSecret> {
    await this.limits.spend('app-change', { client, account: uid });
    return this.apps.rotateSecret(await this.apps.keeper(uid), id, now);
  }

  /** The body is the picture. */
  @Put(':id/logo')
  @UseGuards(RecentlyProvedGuard)
  async setLogo(
    @Session() { uid }: Session,
    @Param('id') id: string,
    @Body() picture: unknown,
    @From() { client }: Visitor,
  ): Promise<App> {
    if (!Buffer.isBuffer(picture)) {
      throw new Failure('unsupported-media-type', 'The body is to be a picture.');
    }
    await this.limits.spend('app-change', { client, account: uid });
    return this.apps.setLogo(await this.apps.keeper(uid), id, picture);
  }

  @Delete(':id/logo')
  @UseGuards(RecentlyProvedGuard)
  async removeLogo(@Session() { uid }: Session, @Param('id') id: string): Promise<App> {
    return this.apps.removeLogo(await this.apps.keeper(uid), id);
  }

  @Delete(':id')
  @UseGuards(RecentlyProvedGuard)
  @HttpCode(204)
  async remove(@Session() { uid }: Session, @Param('id') id: string): Promise<void> {
    await this.apps.remove(await this.apps.keeper(uid), id);
  }
}

/** The pictures of apps, for whoever is asked to let one in. */
@Controller('apps/logos')
export class LogosController {
  constructor(private readonly apps: AppsService) {}

  @Get(':id')
  async logo(@Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const { type, picture } = await this.apps.logo(id);
    void reply
      .headers({ ...pictureHeaders, 'cache-control': 'public, max-age=31536000, immutable' })
      .type(type)
      .send(picture);
  }
}
