import { type FailureCode, failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from '../platform/failure.filter.ts';

/** What the calls of our own pages tell apart. */
const words: Partial<Record<FailureCode, string>> = {
  'too-many-requests': 'too_many_requests',
  'unknown-user-code': 'unknown_user_code',
  'stale-auth': 'login_required',
};

/** The error answer of RFC 6749 §5.2. The protocol's own errors come from oidc-provider. */
export const oauthError: ErrorFormat = (failure) => {
  const status = failure ? failureStatuses[failure.code] : 500;
  const usual =
    status === 503
      ? 'temporarily_unavailable'
      : status >= 500
        ? 'server_error'
        : status === 401
          ? 'access_denied'
          : 'invalid_request';
  const error = (failure && words[failure.code]) ?? usual;
  return {
    status,
    contentType: 'application/json',
    body: {
      ...failure?.options.extra,
      error,
      ...(failure && { error_description: failure.message }),
    },
    headers: { 'cache-control': 'no-store' },
  };
};
