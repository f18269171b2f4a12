import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import {
  type ClaimedPackage,
  ClaimPackage,
  type PackagesNow,
  PublishPackages,
} from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { PackagesService } from './packages.service.ts';

/** Keys that one person uses once, to begin a group with their owner: docs/protocol/keys.md */
@Controller('keys/v1/packages')
export class PackagesController {
  constructor(private readonly packages: PackagesService) {}

  @Post()
  @HttpCode(200)
  @Requires('keys', 'keys:write')
  publish(
    @Caller() caller: Grant,
    @Body({ schema: PublishPackages }) { packages }: PublishPackages,
  ): Promise<PackagesNow> {
    return this.packages.publish(caller, packages);
  }

  @Post('claims')
  @HttpCode(200)
  @Requires('keys', 'keys:discover')
  claim(
    @Caller() caller: Grant,
    @Body({ schema: ClaimPackage }) { uid }: ClaimPackage,
  ): Promise<ClaimedPackage> {
    return this.packages.claim(caller, uid);
  }
}
