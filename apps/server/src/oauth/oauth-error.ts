import { failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from '../platform/failure.filter.ts';

/** The error answer of RFC 6749 §5.2. The protocol's own errors come from oidc-provider. */
export const oauthError: ErrorFormat = (failure) => {
  const status = failure ? failureStatuses[failure.code] : 500;
  const error =
    status === 503
      ? 'temporarily_unavailable'
      : status >= 500
        ? 'server_error'
        : status === 401
          ? 'access_denied'
          : 'invalid_request';
  return {
    status,
    contentType: 'application/json',
    body: { error, ...(failure && { error_description: failure.message }) },
    headers: { 'cache-control': 'no-store' },
  };
};
