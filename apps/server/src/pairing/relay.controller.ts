import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Failure } from '#lib/protocol';
import { LimitsService } from '../limits/limits.service.ts';
import { Config } from '../platform/config.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { RelayService } from './relay.service.ts';
import { upgradeOf } from './upgrades.ts';

/** Where Firefox looks for the relay, whatever the path of its preference: docs/protocol/pairing.md */
@Controller('v1/ws')
export class RelayController {
  constructor(
    private readonly relay: RelayService,
    private readonly limits: LimitsService,
    private readonly config: Config,
  ) {}

  @Get()
  async open(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @From() visitor: Visitor,
  ): Promise<void> {
    this.expectWelcome(request);
    await this.limits.spend('pairing', visitor);
    this.relay.begin(request, visitor);
    reply.hijack();
  }

  @Get(':id')
  async join(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @From() visitor: Visitor,
    @Param('id') id: string,
  ): Promise<void> {
    this.expectWelcome(request);
    const channel = await this.limits.guess('channel', visitor, () =>
      Promise.resolve(this.relay.find(id)),
    );
    this.relay.join(request, visitor, channel);
    reply.hijack();
  }

  /** A browser itself names no web origin. A page does, and pages of others have no business here. */
  private expectWelcome(request: FastifyRequest): void {
    upgradeOf(request);
    const { origin = '', host } = request.headers;
    const isPage = /^https?:/i.test(origin);
    if (isPage && origin !== this.config.publicUrl.origin && hostOf(origin) !== host) {
      throw new Failure('forbidden', 'Pages of another origin cannot use this.');
    }
  }
}

const hostOf = (origin: string) => (URL.canParse(origin) ? new URL(origin).host : '');
