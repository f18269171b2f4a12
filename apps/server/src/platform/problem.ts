import { failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from './failure.filter.ts';

/** Problem Details, for the APIs this project designed itself (RFC 9457). */
export const problem: ErrorFormat = (failure) => {
  const status = failure ? failureStatuses[failure.code] : 500;
  const body = failure
    ? {
        type: `/problems/${failure.code}`,
        title: failure.code.replaceAll('-', ' '),
        status,
        detail: failure.message,
        ...failure.options.extra,
      }
    : { type: 'about:blank', title: 'Internal Server Error', status };
  return { status, contentType: 'application/problem+json', body };
};
