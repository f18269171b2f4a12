import { createHash } from 'node:crypto';
import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Param,
  Post,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Avatar, DisplayName, Failure, type Profile } from '#lib/protocol';
import { AuthorityService } from '../oauth/authority.service.ts';
import { BearerStrategy, Caller, type Grant } from '../oauth/bearer.guard.ts';
import { isKnown } from '../platform/etags.ts';
import { pictureHeaders } from '../platform/picture.ts';
import { DEFAULT_PICTURE } from './picture.ts';
import { NeedsScope } from './profile.guard.ts';
import { ProfileService } from './profile.service.ts';

/** Who somebody is, as Firefox's profile server says it: docs/protocol/profile.md */
@Controller()
export class ProfileController {
  constructor(
    private readonly profiles: ProfileService,
    private readonly bearers: BearerStrategy,
    private readonly authority: AuthorityService,
  ) {}

  @Get('profile/v1/profile')
  @NeedsScope('')
  async profile(
    @Caller() caller: Grant,
    @Headers('if-none-match') known: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    answer(reply, await this.profiles.of(caller), known);
  }

  /**
   * The standard's endpoint, where phones look for the profile: it is what discovery calls
   * `userinfo_endpoint`. A token with the scope `openid` gets the standard's answer there.
   */
  @Get('oauth2/userinfo')
  async userinfo(
    @Req() request: FastifyRequest,
    @Headers('if-none-match') known: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const caller = await this.bearers.validate(request).catch(() => undefined);
    if (!caller || caller.scopes.includes('openid')) {
      reply.hijack();
      this.authority.handle(request.raw, reply.raw);
      return;
    }
    answer(reply, await this.profiles.of(caller), known);
  }

  @Get('profile/v1/_core_profile')
  @NeedsScope('')
  async coreProfile(@Caller() caller: Grant): Promise<Profile> {
    const { email, amrValues, twoFactorAuthentication } = await this.profiles.of(caller);
    return {
      ...(email !== undefined && { email }),
      ...(amrValues && { amrValues, twoFactorAuthentication }),
    };
  }

  @Get('profile/v1/email')
  @NeedsScope('profile:email')
  email(@Caller() caller: Grant): Promise<Profile> {
    return this.profiles.of({ uid: caller.uid, scopes: ['profile:email'] });
  }

  @Get('profile/v1/uid')
  @NeedsScope('profile:uid')
  uid(@Caller() { uid }: Grant): Profile {
    return { uid };
  }

  @Get('profile/v1/display_name')
  @NeedsScope('profile:display_name')
  async displayName(@Caller() { uid }: Grant, @Res() reply: FastifyReply): Promise<void> {
    const displayName = await this.profiles.displayName(uid);
    void (displayName === null ? reply.status(204).send() : reply.send({ displayName }));
  }

  @Post('profile/v1/display_name')
  @HttpCode(200)
  @NeedsScope('profile:display_name:write')
  async rename(
    @Caller() { uid }: Grant,
    @Body({ schema: DisplayName }) { displayName }: DisplayName,
  ): Promise<Record<string, never>> {
    await this.profiles.rename(uid, displayName);
    return {};
  }

  @Get('profile/v1/avatar')
  @NeedsScope('profile:avatar')
  avatar(@Caller() { uid }: Grant): Promise<Avatar> {
    return this.profiles.avatar(uid);
  }

  /** The body is the picture. */
  @Post('profile/v1/avatar/upload')
  @NeedsScope('profile:avatar:write')
  upload(@Caller() { uid }: Grant, @Body() picture: unknown): Promise<Avatar> {
    if (!Buffer.isBuffer(picture)) {
      throw new Failure('unsupported-media-type', 'The body is to be a picture.');
    }
    return this.profiles.setAvatar(uid, picture);
  }

  @Delete('profile/v1/avatar')
  @NeedsScope('profile:avatar:write')
  async removeAvatar(@Caller() { uid }: Grant): Promise<Record<string, never>> {
    await this.profiles.removeAvatar(uid, undefined);
    return {};
  }

  @Delete('profile/v1/avatar/:id')
  @NeedsScope('profile:avatar:write')
  async removeAvatarOf(
    @Caller() { uid }: Grant,
    @Param('id') id: string,
  ): Promise<Record<string, never>> {
    await this.profiles.removeAvatar(uid, id);
    return {};
  }

  @Get('profile/avatars/default')
  defaultPicture(@Res() reply: FastifyReply): void {
    void reply
      .headers({ ...pictureHeaders, 'cache-control': 'public, max-age=86400' })
      .type('image/svg+xml')
      .send(DEFAULT_PICTURE);
  }

  /** For whoever knows the address: what shows the picture has no token. */
  @Get('profile/avatars/:id')
  async picture(@Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const { type, picture } = await this.profiles.picture(id);
    void reply
      .headers({ ...pictureHeaders, 'cache-control': 'public, max-age=31536000, immutable' })
      .type(type)
      .send(picture);
  }
}

/** The same tag for the same words: of an account, and of the scopes that were asked with. */
function answer(reply: FastifyReply, profile: Profile, known: string | undefined): void {
  const body = JSON.stringify(profile);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  void reply.headers({ etag, 'cache-control': 'private, no-cache' });
  // Phones put the tag, with its quotes, into quotes.
  if (isKnown(known?.replaceAll('""', '"'), etag)) void reply.status(304).send();
  else void reply.type('application/json').send(body);
}
