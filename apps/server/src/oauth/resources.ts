import type { ResourceServer } from 'oidc-provider';
import { type Api, apiByScope, audiences } from '#lib/protocol';

/** Seconds that an access token lives. */
export const ACCESS_TOKEN_SECONDS = 3600;

/** The scopes that each API honours, by audience. */
const scopesByAudience: ReadonlyMap<string, readonly string[]> = new Map(
  (Object.keys(audiences) as Api[]).map((api) => [
    audiences[api],
    Object.keys(apiByScope).filter((scope) => apiByScope[scope as keyof typeof apiByScope] === api),
  ]),
);

/** The audiences of the APIs that these scopes belong to. */
export function audiencesOf(scopes: Iterable<string>): string[] {
  const asked = new Set(scopes);
  return [...scopesByAudience]
    .filter(([, known]) => known.some((scope) => asked.has(scope)))
    .map(([audience]) => audience);
}

/**
 * An API as oidc-provider sees it: its tokens are opaque, so that ending a session ends them.
 *
 * @param expiresIn - seconds, at most {@link ACCESS_TOKEN_SECONDS} unless Firefox asks for more
 * @returns undefined for an audience that is none of ours
 */
export function resourceServer(
  audience: string,
  expiresIn = ACCESS_TOKEN_SECONDS,
): ResourceServer | undefined {
  const scopes = scopesByAudience.get(audience);
  return (
    scopes && {
      audience,
      scope: scopes.join(' '),
      accessTokenFormat: 'opaque',
      accessTokenTTL: expiresIn,
    }
  );
}
