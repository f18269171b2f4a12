/**
 * What both shapes do in the SQL part: the same operations on the same stores, records and times.
 * The pieces are in pgbench's language.
 *
 * @module
 */

/** One kind of request. */
export type Operation = 'read' | 'info' | 'put' | 'post' | 'append';

/** What each is called, and how many times as fast ours has to be. */
export const operations: readonly { name: Operation; label: string; target?: number }[] = [
  { name: 'read', label: 'collection read (newer=, full)', target: 5 },
  { name: 'info', label: 'info/collections' },
  { name: 'put', label: 'PUT 1 BSO', target: 1.6 },
  { name: 'post', label: 'POST 80 BSOs' },
  { name: 'append', label: 'batch append 80 BSOs', target: 1.6 },
];

export const COLLECTION = 'history';
export const PER_POST = 80;
export const PER_STORE = 500;
/** As long as Mozilla's load test makes them on average. */
export const PAYLOAD = 'x0Yz9'.repeat(90);

/** Hundredths of a second since 1970: when the last record was written before the measurement. */
export const LAST_TIME = 176_000_000_000;
/** Hundredths between two records of a store. */
export const STEP = 100;

/** A store, a poll that finds 1 to 20 records, and what new ids begin with. */
export const SETTINGS = [
  '\\set uid random(1, :stores)',
  `\\set newer ${LAST_TIME} - random(1, 20) * ${STEP}`,
  '\\set one random(1, 1000)',
  '\\set many random(1, 3)',
  '\\set part random(1, 100)',
  '',
].join('\n');

export const NEWER = ':newer';
export const SINGLE_ID = `('q' || :one::text)`;
export const POST_IDS = `string_to_array(replace(:postids, '#', :many::text), ',')`;
export const BATCH_IDS = `string_to_array(replace(:batchids, '#', :part::text), ',')`;
/** Each store has one batch open, whose id says whose it is. */
export const BATCH = `('00000000-0000-4000-8000-' || lpad(:uid::text, 12, '0'))::uuid`;

const ids = (prefix: string) =>
  Array.from({ length: PER_POST }, (_, i) => `${prefix}#-${i}`).join(',');

/** The values of the pieces above, and of texts that only one shape sends. */
export const VARIABLES: Readonly<Record<string, string>> = {
  postids: ids('p'),
  batchids: ids('b'),
  payload: PAYLOAD,
  payloads: `{${Array.from({ length: PER_POST }, () => PAYLOAD).join(',')}}`,
};
