import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { NodeRegistration } from '#lib/protocol';
import { NodeGuard } from '../platform/node.guard.ts';
import { NodeWatchService } from './node-watch.service.ts';
import { NodesService } from './nodes.service.ts';

/** What nodes tell the front: docs/protocol/nodes.md */
@Controller('node/v1/nodes')
@UseGuards(NodeGuard)
export class NodesController {
  constructor(
    private readonly nodes: NodesService,
    private readonly watch: NodeWatchService,
  ) {}

  @Post()
  @HttpCode(200)
  async register(@Body({ schema: NodeRegistration }) node: NodeRegistration): Promise<object> {
    await this.nodes.add(node, false);
    this.watch.hurry();
    return {};
  }
}
