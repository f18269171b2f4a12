import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { LimitsModule } from '../limits/limits.module.ts';
import { RelayController } from './relay.controller.ts';
import { RelayService } from './relay.service.ts';
import { routeUpgrades } from './upgrades.ts';

/** One device signs another in. */
@Module({
  imports: [LimitsModule],
  controllers: [RelayController],
  providers: [RelayService],
})
export class PairingModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost<FastifyAdapter>) {}

  onModuleInit(): void {
    routeUpgrades(this.http.httpAdapter.getInstance());
  }
}
