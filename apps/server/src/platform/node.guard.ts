import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { NodeSignaturesService } from './node-signatures.service.ts';

/** Lets the front and the nodes of this installation through, and nobody else. */
@Injectable()
export class NodeGuard implements CanActivate {
  constructor(private readonly signatures: NodeSignaturesService) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    await this.signatures.check(context.switchToHttp().getRequest<FastifyRequest>());
    return true;
  }
}
