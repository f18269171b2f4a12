import type { Reply } from './load.ts';
import { Mismatch } from './meter.ts';

/** @throws Mismatch, which makes the request a failed one */
export function expect(isTrue: boolean, otherwise: string): asserts isTrue {
  if (!isTrue) throw new Mismatch(otherwise);
}

/** Reads a time of the API: seconds with exactly two decimals, in hundredths. */
export function hundredths(text: string): number {
  expect(/^\d+\.\d\d$/.test(text), 'a time without two decimals');
  return Number(text.replace('.', ''));
}

/** The time of a header. */
export function timeOf(header: string | string[] | undefined): number {
  expect(typeof header === 'string', 'a header is missing');
  return hundredths(header);
}

/** A time as the API has it. */
export const spell = (time: number): string =>
  `${Math.floor(time / 100)}.${String(time % 100).padStart(2, '0')}`;

/** A JSON object of numbers, by name, each in the text that it came in. */
export function numbers(text: string): Map<string, string> {
  expect(/^\{.*\}$/.test(text), 'no object');
  return new Map(
    Array.from(text.matchAll(/"([^"]+)":([\d.]+)/g), ([, name = '', number = '']) => [
      name,
      number,
    ]),
  );
}

/** What an upload was answered, of which every record has to have been taken. */
export interface Uploaded {
  modified: number | undefined;
  batch: string | undefined;
}

/** Holds the lists of an upload's answer against what was sent. */
export function uploaded({ text }: Reply, records: readonly { id: string }[]): Uploaded {
  const { success, failed, batch } = JSON.parse(text) as {
    success?: string[];
    failed?: Record<string, string>;
    batch?: string;
  };
  const isAll = success?.length === records.length;
  expect(isAll && records.every(({ id }, i) => id === success[i]), 'another success list');
  expect(failed !== undefined && Object.keys(failed).length === 0, 'records were refused');
  const [, modified] = /"modified":([\d.]+)/.exec(text) ?? [];
  return { modified: modified === undefined ? undefined : hundredths(modified), batch };
}
