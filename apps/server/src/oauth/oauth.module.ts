import { Global, Module } from '@nestjs/common';
import { BearerStrategy } from './bearer.guard.ts';

/** Global: every API that takes a bearer token is guarded here. */
@Global()
@Module({ providers: [BearerStrategy] })
export class OAuthModule {}
