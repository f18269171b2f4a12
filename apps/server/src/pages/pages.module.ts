import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { PagesController } from './pages.controller.ts';
import { WebFilesService } from './web-files.service.ts';

@Module({ controllers: [PagesController], providers: [WebFilesService] })
export class PagesModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost<FastifyAdapter>) {}

  /** An API takes JSON alone: a form or a text is what any site can send from a visitor's browser. */
  onModuleInit(): void {
    const fastify = this.http.httpAdapter.getInstance();
    fastify.removeContentTypeParser(['text/plain', 'application/x-www-form-urlencoded']);
  }
}
