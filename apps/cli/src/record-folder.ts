import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type LocalList, type LocalRecords, recordDigest, type SyncRecord } from '#lib/client';
import { Refused } from './refused.ts';

/** Where a folder that is synced keeps what is not synced. */
export const OWN_FOLDER = '.lockstep';

const COLLECTION = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,31}$/;
/** What an id may be on the server. */
const ID = /^[\u0020-\u007e]{1,64}$/;
const SUFFIX = '.json';

/** Tells whether a collection can have a folder of its name. */
export const isCollectionName = (name: string): boolean =>
  COLLECTION.test(name) && name !== '__proto__';

/** The collections that have a folder. */
export async function collectionsIn(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && isCollectionName(entry.name))
    .map(({ name }) => name)
    .sort();
}

/**
 * A collection as a folder of JSON files, one for each record, named after its id. A file holds the record in
 * clear, with or without its `id`. A file that is written appears whole or not at all.
 */
export class RecordFolder implements LocalRecords {
  readonly #root: string;

  constructor(
    root: string,
    readonly name: string,
  ) {
    this.#root = root;
  }

  /** Whether it is there; a folder that is gone does not mean that its records are to be deleted. */
  async exists(): Promise<boolean> {
    return (await this.#files()) !== undefined;
  }

  async list(): Promise<LocalList> {
    const digests = new Map<string, string>();
    const unreadable = new Map<string, string>();
    for (const file of (await this.#files()) ?? []) {
      const id = idOf(file);
      try {
        const record = await this.#readFile(file, id);
        if (record) digests.set(id, recordDigest(record));
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        unreadable.set(id, error.message);
      }
    }
    return { digests, unreadable };
  }

  read(id: string): Promise<SyncRecord | undefined> {
    return this.#readFile(fileOf(id), id);
  }

  async write(
    id: string,
    record: SyncRecord | undefined,
    expected: string | null,
  ): Promise<boolean> {
    const now = await this.#digestNow(id);
    const wasChanged = now !== null && now !== expected;
    if (wasChanged) await this.setAside(id, 'conflict');
    const path = this.#path(id);
    if (record) await writeWhole(path, `${JSON.stringify(record, undefined, 2)}\n`);
    else await rm(path, { force: true });
    return wasChanged;
  }

  async setAside(id: string, why: 'conflict' | 'wiped'): Promise<void> {
    const folder = join(this.#root, OWN_FOLDER, 'set-aside', this.name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const copy = `${fileOf(id).slice(0, -SUFFIX.length)}.${why}-${randomBytes(4).toString('hex')}`;
    try {
      await rename(this.#path(id), join(folder, copy + SUFFIX));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Null for nothing; differs from every digest when it cannot be read. */
  async #digestNow(id: string): Promise<string | null> {
    try {
      const record = await this.read(id);
      return record ? recordDigest(record) : null;
    } catch (error) {
      if (error instanceof Refused) return '';
      throw error;
    }
  }

  #path(id: string): string {
    return join(this.#root, this.name, fileOf(id));
  }

  async #files(): Promise<string[] | undefined> {
    try {
      const entries = await readdir(join(this.#root, this.name), { withFileTypes: true });
      return entries
        .filter(({ name }) => name.endsWith(SUFFIX) && !name.startsWith('.'))
        .map(({ name }) => name)
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** @throws Refused with the reason, when the file holds no record of this id */
  async #readFile(file: string, id: string): Promise<SyncRecord | undefined> {
    let text;
    try {
      text = await readFile(join(this.#root, this.name, file), 'utf8');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOENT') return undefined;
      throw new Refused(
        code === 'EISDIR' ? 'It is a folder.' : `It cannot be read (${code ?? ''}).`,
      );
    }
    if (fileOf(id) !== file || !ID.test(id)) throw new Refused('Its name is no id of a record.');
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new Refused('It is no JSON.');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new Refused('It is no JSON object.');
    }
    const record = { ...value, id };
    if ('id' in value && value.id !== id) throw new Refused('It has the id of another record.');
    if ('deleted' in value && value.deleted === true) {
      throw new Refused('It says that it is deleted: delete the file instead.');
    }
    return record;
  }
}

/** The name of a record's file. Ids come from others: none leads out of the folder or hides in it. */
function fileOf(id: string): string {
  const name = id.replace(/[^A-Za-z0-9._~-]/g, percent).replace(/^\./, percent);
  return name + SUFFIX;
}

const percent = (character: string) =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;

const idOf = (file: string) =>
  file
    .slice(0, -SUFFIX.length)
    .replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));

async function writeWhole(path: string, text: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const draft = join(path, '..', `.${randomBytes(6).toString('hex')}.part`);
  const file = await open(draft, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  await rename(draft, path);
}
