import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  type RawBodyRequest,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type BearerPrefix, HawkService } from '../accounts/hawk.service.ts';
import { factorRequired } from '../accounts/proofs.guard.ts';
import { SessionGuard } from '../accounts/session.guard.ts';
import {
  type PasswordToken,
  type PasswordTokenKind,
  PasswordTokensService,
} from './password-tokens.service.ts';

/** Hawk or a typed bearer. It recognises the token; taking it is the handler's decision. */
@Injectable()
abstract class PasswordTokenGuard implements CanActivate {
  protected abstract readonly kind: PasswordTokenKind;
  protected abstract readonly prefix: BearerPrefix;

  constructor(
    @Inject(PasswordTokensService) private readonly tokens: PasswordTokensService,
    @Inject(HawkService) private readonly hawk: HawkService,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context
      .switchToHttp()
      .getRequest<RawBodyRequest<FastifyRequest> & { user?: PasswordToken }>();
    request.user = await this.hawk.authenticate(request, this.prefix, (id) =>
      this.tokens.find(this.kind, id),
    );
    return true;
  }
}

/** Lets in who holds a passwordChangeToken. */
@Injectable()
export class ChangeTokenGuard extends PasswordTokenGuard {
  protected readonly kind = 'change';
  protected readonly prefix = 'fxpc';
}

/** Lets in who holds a passwordForgotToken. */
@Injectable()
export class ForgotTokenGuard extends PasswordTokenGuard {
  protected readonly kind = 'forgot';
  protected readonly prefix = 'fxpf';
}

/** Lets in who holds an accountResetToken, also before the second factor was given with it. */
@Injectable()
export class AnyResetTokenGuard extends PasswordTokenGuard {
  protected readonly kind = 'reset';
  protected readonly prefix = 'fxar';
}

/** Lets in who holds an accountResetToken and, if the account has one, gave the second factor; or 160. */
@Injectable()
export class ResetTokenGuard extends AnyResetTokenGuard {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
    const { user } = context.switchToHttp().getRequest<{ user: PasswordToken }>();
    if (user.lacksFactor) throw factorRequired();
    return true;
  }
}

/** Lets in who holds a session, or an accountResetToken as a typed bearer. */
@Injectable()
export class SessionOrResetGuard implements CanActivate {
  constructor(
    @Inject(SessionGuard) private readonly session: SessionGuard,
    @Inject(ResetTokenGuard) private readonly reset: ResetTokenGuard,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    // One look decides: a signed request that is authenticated twice would be a replay of itself.
    const isReset = /^Bearer fxar_/i.test(headers.authorization ?? '');
    if (isReset) return this.reset.canActivate(context);
    await this.session.canActivate(context);
    return true;
  }
}

/** The {@link PasswordToken} that a guard recognised. */
export const Token = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: PasswordToken }>().user,
);

/** The uid that {@link SessionOrResetGuard} let in. */
export const Owner = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: { uid: string } }>().user.uid,
);
