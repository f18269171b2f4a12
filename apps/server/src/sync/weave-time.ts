/**
 * The API's times are decimal seconds with two places. Here they are whole hundredths, because a
 * double loses the last digit and `JSON.stringify` drops a zero at the end.
 *
 * @see Storage API 1.5, "Syntax"
 * @module
 */
import { Failure } from '#lib/protocol';

/** Hundredths of a second since 1970. */
export type Hundredths = number;

/** Cuts off what is finer than a hundredth. */
export function toHundredths(date: Date): Hundredths {
  return Math.floor(date.getTime() / 10);
}

/** Two decimals, always: the text of a header and of a number in JSON. */
export function weaveTime(time: Hundredths): string {
  return `${Math.floor(time / 100)}.${String(time % 100).padStart(2, '0')}`;
}

/**
 * Reads a time of a query or header.
 *
 * @param rounding - of digits after the second. `down` keeps `later than` exact, `up` `earlier than`
 * @throws Failure `invalid-parameter` for anything but a plain, non-negative decimal number
 */
export function parseWeaveTime(text: string, rounding: 'down' | 'up' = 'down'): Hundredths {
  const match = /^(\d*)(?:\.(\d*))?$/.exec(text);
  const [, whole = '', fraction = ''] = match ?? [];
  if (!match || (whole === '' && fraction === '')) {
    throw new Failure('invalid-parameter', 'A time is a non-negative decimal number of seconds.');
  }
  const rest = rounding === 'up' && /[1-9]/.test(fraction.slice(2)) ? 1 : 0;
  const time = Number(whole + fraction.slice(0, 2).padEnd(2, '0')) + rest;
  return Math.min(time, Number.MAX_SAFE_INTEGER);
}
