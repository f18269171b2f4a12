import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { Failure } from '#lib/protocol';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { PagesController } from './pages.controller.ts';

const FORM = 'application/x-www-form-urlencoded';
/** The routes that a form may be sent to. */
const FORMS = new Set<string | undefined>(['/verify_email']);

@Module({ imports: [AccountsModule], controllers: [PagesController] })
export class PagesModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost<FastifyAdapter>) {}

  /** An API takes JSON alone: a form or a text is what any site can send from a visitor's browser. */
  onModuleInit(): void {
    const fastify = this.http.httpAdapter.getInstance();
    fastify.removeContentTypeParser(['text/plain', FORM]);
    fastify.addContentTypeParser(FORM, { parseAs: 'string' }, (request, body, done) => {
      if (FORMS.has(request.routeOptions.url)) {
        done(null, Object.fromEntries(new URLSearchParams(body.toString())));
      } else done(new Failure('unsupported-media-type', 'Send JSON, not a form.'));
    });
  }
}
