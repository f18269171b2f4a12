import { Body, Controller, Get, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Failure, type ServerDescription, VerifyEmail } from '#lib/protocol';
import { VerificationService } from '../accounts/verification.service.ts';
import { Config } from '../platform/config.ts';
import { escapeHtml, page, sendPage } from '../platform/html.ts';
import { SettingsService } from '../platform/settings.service.ts';

/** What a browser shows, and where clients begin. */
@Controller()
export class PagesController {
  constructor(
    private readonly settings: SettingsService,
    private readonly verification: VerificationService,
    private readonly config: Config,
  ) {}

  @Get()
  home(@Res() reply: FastifyReply): void {
    const url = escapeHtml(this.config.publicUrl.origin);
    sendPage(
      reply,
      page(
        'Lockstep',
        [
          '<p>This server keeps accounts, keys, synced records and files that it cannot read:',
          'everything is encrypted and decrypted on the devices of the people who use it.</p>',
          `<p>Next: <code>npx lockstep sign-up you@example.org --url ${url}</code></p>`,
        ].join('\n'),
      ),
    );
  }

  @Get('.well-known/lockstep')
  async description(@Res({ passthrough: true }) reply: FastifyReply): Promise<ServerDescription> {
    // Public, and read by apps in browsers before they know anything else.
    void reply.header('access-control-allow-origin', '*');
    return { name: 'lockstep', version: '0.1.0', realm: await this.settings.realm() };
  }

  /** Shows a button: programs that open every link in a mail must not verify by that. */
  @Get('verify_email')
  confirm(@Query() query: unknown, @Res() reply: FastifyReply): void {
    const asked = VerifyEmail.safeParse(query);
    if (!asked.success) {
      this.refuse(reply);
      return;
    }
    const { uid, code } = asked.data;
    sendPage(
      reply,
      page(
        'Verify your address',
        [
          '<form method="post" action="/verify_email">',
          `<input type="hidden" name="uid" value="${uid}">`,
          `<input type="hidden" name="code" value="${code}">`,
          '<button>This address is mine, and I signed up with it</button>',
          '</form>',
        ].join('\n'),
      ),
    );
  }

  @Post('verify_email')
  async verify(@Body() body: unknown, @Res() reply: FastifyReply): Promise<void> {
    const asked = VerifyEmail.safeParse(body);
    if (!asked.success) {
      this.refuse(reply);
      return;
    }
    try {
      await this.verification.verify(asked.data);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== 'invalid-verification-code') throw error;
      this.refuse(reply);
      return;
    }
    sendPage(reply, page('Your address is verified', '<p>You can close this page.</p>'));
  }

  private refuse(reply: FastifyReply): void {
    const why = '<p>It is incomplete, expired, or was replaced. Ask for another one.</p>';
    sendPage(reply, page('This link does not work', why), 400);
  }
}
