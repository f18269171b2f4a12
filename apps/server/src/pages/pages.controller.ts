import { Controller, Get, Headers, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { ServerDescription } from '#lib/protocol';
import { SettingsService } from '../platform/settings.service.ts';
import { WebFilesService } from './web-files.service.ts';

/** The addresses that have a page, as `pageOf` in apps/web knows them. */
const PAGES = [
  '',
  'signin',
  'signup',
  'oauth/force_auth',
  'oauth2/interaction/:id',
  'device',
  'verify_email',
  'reset_password',
  'complete_reset_password',
  'settings',
  'settings/clients',
  'apps',
  'apps/new',
  'apps/app/:id',
  'settings/avatar/change',
  'settings/password',
  'settings/recovery_key',
  'settings/second_factors',
  'settings/keys',
  'settings/keys/:id',
  'settings/delete',
  'deleted',
  'connect_another_device',
  'pair',
  'pair/auth',
  'pair/supp',
  'oauth',
  'post_verify/third_party_auth/set_password',
];

/** What a browser shows, and where clients begin. */
@Controller()
export class PagesController {
  constructor(
    private readonly settings: SettingsService,
    private readonly files: WebFilesService,
  ) {}

  @Get(PAGES)
  page(@Res() reply: FastifyReply): void {
    this.files.sendIndex(reply);
  }

  @Get('assets/:name')
  asset(
    @Param('name') name: string,
    @Headers('accept-encoding') acceptEncoding: string | undefined,
    @Res() reply: FastifyReply,
  ): void {
    this.files.sendAsset(reply, name, { acceptEncoding });
  }

  @Get('style.css')
  style(@Res() reply: FastifyReply): void {
    this.files.sendNamed(reply, '.css');
  }

  /** Where browsers look for it when a page names none. */
  @Get('favicon.ico')
  icon(@Res() reply: FastifyReply): void {
    this.files.sendNamed(reply, '.svg');
  }

  @Get('.well-known/lockstep')
  async description(@Res({ passthrough: true }) reply: FastifyReply): Promise<ServerDescription> {
    // Public, and read by apps in browsers before they know anything else.
    void reply.header('access-control-allow-origin', '*');
    return { name: 'lockstep', version: '0.1.0', realm: await this.settings.realm() };
  }
}
