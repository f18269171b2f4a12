import type { DataSource } from 'typeorm';
import { Clock } from '../../apps/server/src/platform/clock.ts';
import { SESSION_SETTINGS } from '../../apps/server/src/platform/database.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { Statements } from '../../apps/server/src/sync/statements.ts';
import { StorageReaderService } from '../../apps/server/src/sync/storage-reader.service.ts';
import { StorageWriterService } from '../../apps/server/src/sync/storage-writer.service.ts';
import type { Script } from './pgbench.ts';
import {
  BATCH,
  BATCH_IDS,
  COLLECTION,
  NEWER,
  type Operation,
  PAYLOAD,
  PER_POST,
  POST_IDS,
  SETTINGS,
  SINGLE_ID,
  VARIABLES,
} from './sql-workload.ts';

/** Takes down what the server's own services would send to the database. */
class Recorder extends Statements {
  text = '';
  values: unknown[] = [];

  constructor() {
    super(undefined as unknown as DataSource);
  }

  override run<Row extends object>(text: string, values: unknown[]): Promise<Row[]> {
    [this.text, this.values] = [text, values];
    return Promise.resolve([{ outcome: 'done', id: null } as unknown as Row]);
  }
}

// Values that stand for something that changes with each transaction.
const UID = 7_000_001;
const SINCE = 7_000_002;
const ONE = 'one';
const POST = 'post';
const APPEND = 'append';
const BATCH_ID = '7d3c9a52-0000-4000-8000-000000000000';

const varying = new Map<unknown, string>([
  [UID, ':uid'],
  [SINCE, NEWER],
  [ONE, SINGLE_ID],
  [`[${ONE}]`, `ARRAY[${SINGLE_ID}]`],
  [`[${POST}]`, POST_IDS],
  [`[${APPEND}]`, BATCH_IDS],
  [BATCH_ID, BATCH],
]);

/** The server's own statements, in scripts for pgbench, with its default limits, so with quotas counted. */
export async function ourShape(): Promise<Record<Operation, Script>> {
  const recorder = new Recorder();
  const config = Config.from({});
  const reader = new StorageReaderService(recorder, new Clock(), config);
  const writer = new StorageWriterService(recorder, new Clock(), config);
  const target = { uid: UID, collection: COLLECTION, unmodifiedSince: undefined };
  const changes = (name: string, count: number) =>
    Array.from({ length: count }, () => ({
      ...{ id: name, payload: PAYLOAD, sortindex: undefined, ttl: undefined },
    }));
  const record = async (work: Promise<unknown>) => {
    await work;
    return toScript(recorder.text, recorder.values);
  };

  const limit = config.limits.storagePageRecordsMax;
  const query = { ids: undefined, newer: SINCE, older: undefined, full: true, limit } as const;
  return {
    read: await record(
      reader.list(UID, COLLECTION, { ...query, after: undefined, sort: 'newest' }, {}),
    ),
    info: await record(reader.collections(UID)),
    put: await record(writer.write(target, changes(ONE, 1), { item: ONE })),
    post: await record(writer.write(target, changes(POST, PER_POST))),
    append: await record(writer.append(target, changes(APPEND, PER_POST), BATCH_ID)),
  };
}

/** Every parameter stays one, as with the server's prepared statements. */
function toScript(text: string, values: readonly unknown[]): Script {
  const variables: Record<string, string> = { ...VARIABLES };
  const statement = text.replaceAll(/\$(\d+)/g, (_, digits: string) => {
    const value = values[Number(digits) - 1];
    if (value === undefined || value === null) return 'NULL';
    const changes = varying.get(Array.isArray(value) ? `[${String(value[0])}]` : value);
    if (changes !== undefined) return changes;
    variables[`v${digits}`] = spell(value);
    return `:v${digits}`;
  });
  const script = `${SETTINGS}${statement.replaceAll(/\s*\n\s*/g, ' ')};\n`;
  return { text: script, variables, settings: SESSION_SETTINGS };
}

/** As the driver spells a parameter. */
function spell(value: unknown): string {
  if (!Array.isArray(value)) return String(value);
  return `{${value.map((item: string | null | undefined) => item ?? 'NULL').join(',')}}`;
}
