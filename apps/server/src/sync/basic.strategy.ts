import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-custom';
import { Failure } from '#lib/protocol';
import type { StorageUser } from './hawk.strategy.ts';
import { LegacyPasswordsService } from './legacy-passwords.service.ts';
import type { StorageRequest } from './raw-requests.ts';

/**
 * HTTP Basic with an app password. The name is the one in the path, in the same spelling.
 *
 * @see Storage API 1.1, "Authentication"
 */
@Injectable()
export class BasicStrategy extends PassportStrategy(Strategy, 'storage-basic') {
  constructor(private readonly passwords: LegacyPasswordsService) {
    super();
  }

  /** @throws Failure `unauthenticated`, with the reason for the log */
  async validate(request: StorageRequest): Promise<StorageUser> {
    const [, encoded] = /^Basic ([A-Za-z0-9+/]{1,1024}={0,2})$/i.exec(
      request.headers.authorization ?? '',
    ) ?? [undefined, undefined];
    if (encoded === undefined) throw refused('there is no well-formed header');
    const text = decode(Buffer.from(encoded, 'base64'));
    const colon = text?.indexOf(':') ?? -1;
    if (text === undefined || colon < 0) throw refused('there is no name and password in it');
    const { username } = request.params as { username?: string };
    if (text.slice(0, colon) !== username) throw refused('the name is another than in the path');
    const uid = await this.passwords.check(username, text.slice(colon + 1));
    if (uid === undefined) throw refused('there is no such user, or the password is wrong');
    return { uid, access: undefined };
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const refused = (why: string) => new Failure('unauthenticated', `Basic: ${why}.`);
