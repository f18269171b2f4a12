import { Controller, Get, Header } from '@nestjs/common';
import { Config } from '../platform/config.ts';
import { openApi } from './openapi.ts';

/** The description of the Key Service, for programs. */
@Controller('keys/v1/openapi.json')
export class OpenApiController {
  private readonly document: Record<string, unknown>;

  constructor(config: Config) {
    this.document = openApi(config.publicUrl.href.replace(/\/$/, ''));
  }

  @Get()
  @Header('cache-control', 'public, max-age=3600')
  read(): Record<string, unknown> {
    return this.document;
  }
}
