import { type DynamicModule, Global, Module, StandardSchemaValidationPipe } from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { Clock } from './clock.ts';
import { Config } from './config.ts';
import { HealthController } from './health.controller.ts';
import { NodeClientService } from './node-client.service.ts';
import { NodeSignaturesService } from './node-signatures.service.ts';
import { SettingEntity } from './setting.entity.ts';
import { SettingsService } from './settings.service.ts';

/** What differs between production and a test. */
export interface Parts {
  config: Config;
  database: TypeOrmModuleOptions;
  clock: Clock;
}

/** What every feature stands on: configuration, database, time, validation. */
@Global()
@Module({})
export class PlatformModule {
  static with({ config, database, clock }: Parts): DynamicModule {
    return {
      module: PlatformModule,
      imports: [TypeOrmModule.forRoot(database), TypeOrmModule.forFeature([SettingEntity])],
      controllers: [HealthController],
      providers: [
        { provide: APP_PIPE, useClass: StandardSchemaValidationPipe },
        { provide: Config, useValue: config },
        { provide: Clock, useValue: clock },
        NodeClientService,
        NodeSignaturesService,
        SettingsService,
      ],
      exports: [Config, Clock, NodeClientService, NodeSignaturesService, SettingsService],
    };
  }
}
