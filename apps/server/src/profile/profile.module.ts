import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { AVATAR_BYTES_MAX, Failure } from '#lib/protocol';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { DevicesModule } from '../devices/devices.module.ts';
import { PICTURE_ROUTES } from '../platform/picture.ts';
import { routeOf } from '../platform/requests.ts';
import { ProfileController } from './profile.controller.ts';
import { ProfileService } from './profile.service.ts';

@Module({
  imports: [AccountsModule, DevicesModule],
  controllers: [ProfileController],
  providers: [ProfileService],
})
export class ProfileModule implements OnModuleInit {
  constructor(private readonly adapters: HttpAdapterHost) {}

  /** Pictures are larger than JSON may be, and are taken in few places. */
  onModuleInit(): void {
    this.adapters.httpAdapter
      .getInstance<FastifyInstance>()
      .addContentTypeParser(
        /^image\//,
        { parseAs: 'buffer', bodyLimit: AVATAR_BYTES_MAX },
        (request, body, parsed) => {
          const isExpected = PICTURE_ROUTES.has(routeOf(request));
          if (isExpected) parsed(null, body);
          else parsed(new Failure('unsupported-media-type', 'There is no picture for this.'));
        },
      );
  }
}
