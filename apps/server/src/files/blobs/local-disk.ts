import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { Config } from '../../platform/config.ts';
import { BlobStore, type ByteRange, type StoredBlob } from './blob-store.ts';

/** One file per blob, at `<DATA_DIR>/blobs/aa/bb/<id>`, where aa and bb are the id's first digits. */
@Injectable()
export class LocalDiskBlobs extends BlobStore {
  private readonly root: string;
  /** On the same file system, so that renaming is all or nothing. */
  private readonly unfinished: string;

  constructor(config: Config) {
    super();
    this.root = join(config.dataDir, 'blobs');
    this.unfinished = join(this.root, 'unfinished');
  }

  async put(source: AsyncIterable<Uint8Array>): Promise<StoredBlob> {
    const id = randomBytes(16).toString('hex');
    const draft = join(this.unfinished, id);
    await mkdir(this.unfinished, { recursive: true, mode: 0o700 });
    try {
      const written = await writeDurably(draft, source);
      const path = this.pathOf(id);
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await rename(draft, path);
      // Its name, and the names of the folders on the way, are not on the disk before this.
      for (const folder of [dirname(path), dirname(dirname(path)), this.root]) await sync(folder);
      return { id, ...written };
    } catch (error) {
      await rm(draft, { force: true });
      throw error;
    }
  }

  async open(id: string, range?: ByteRange): Promise<Readable | undefined> {
    let file: FileHandle;
    try {
      file = await open(this.pathOf(id));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
    return file.createReadStream({ ...range, highWaterMark: 262_144 });
  }

  async remove(id: string): Promise<void> {
    await rm(this.pathOf(id), { force: true });
  }

  async sweep(
    before: Date,
    filterUnused: (ids: readonly string[]) => Promise<readonly string[]>,
  ): Promise<number> {
    const isOld = async (path: string) => (await stat(path)).mtime < before;
    let removed = 0;
    for (const id of await namesIn(this.unfinished)) {
      const path = join(this.unfinished, id);
      if (!(await isOld(path))) continue;
      await rm(path, { force: true });
      removed += 1;
    }
    for (const folder of await this.folders()) {
      const old: string[] = [];
      for (const id of await namesIn(folder)) if (await isOld(join(folder, id))) old.push(id);
      if (old.length === 0) continue;
      for (const id of await filterUnused(old)) {
        await this.remove(id);
        removed += 1;
      }
    }
    return removed;
  }

  private pathOf(id: string): string {
    return join(this.root, id.slice(0, 2), id.slice(2, 4), id);
  }

  private async folders(): Promise<string[]> {
    const first = (await namesIn(this.root)).filter((name) => /^[0-9a-f]{2}$/.test(name));
    const folders = await Promise.all(
      first.map(async (aa) =>
        (await namesIn(join(this.root, aa))).map((bb) => join(this.root, aa, bb)),
      ),
    );
    return folders.flat();
  }
}

async function writeDurably(
  path: string,
  source: AsyncIterable<Uint8Array>,
): Promise<{ size: number; sha256: string }> {
  const file = await open(path, 'wx', 0o600);
  try {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of source) {
      hash.update(chunk);
      size += chunk.length;
      await file.writeFile(chunk); // appends: it goes on from where the last one ended
    }
    await file.datasync();
    return { size, sha256: hash.digest('base64url') };
  } finally {
    await file.close();
  }
}

async function sync(folder: string): Promise<void> {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

const isMissing = (error: unknown) => (error as { code?: unknown }).code === 'ENOENT';
