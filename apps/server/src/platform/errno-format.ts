import { STATUS_CODES } from 'node:http';
import { type Failure, type FailureCode, failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from './failure.filter.ts';

/** How one of Firefox Accounts' servers numbers its refusals. */
export interface ErrnoTable {
  /** 999 for what has no number of its own. */
  errnos: Partial<Record<FailureCode, number>>;
  /** Where its HTTP status is not the one of the APIs this project designed. */
  statuses: Partial<Record<FailureCode, number>>;
  /** Members that a refusal has beside those that it brings along; they may change the number. */
  more?: (failure: Failure) => object;
}

/** `{code, errno, error, message, …}`, where `code` is the HTTP status (FxA's API, "Response format"). */
export const errnoFormat =
  ({ errnos, statuses, more }: ErrnoTable): ErrorFormat =>
  (failure) => {
    const status = failure ? (statuses[failure.code] ?? failureStatuses[failure.code]) : 500;
    return {
      status,
      contentType: 'application/json',
      body: {
        code: status,
        errno: (failure && errnos[failure.code]) ?? 999,
        error: STATUS_CODES[status] ?? 'Error',
        message: failure?.message ?? 'Unspecified error',
        ...(failure && more?.(failure)),
        ...failure?.options.extra,
      },
    };
  };
