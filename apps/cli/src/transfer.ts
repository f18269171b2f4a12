import { createReadStream, createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FileReference } from '#lib/client';
import type { ShareBody } from '#lib/protocol';
import type { Device } from './device.ts';
import { progress } from './progress.ts';
import { Refused } from './refused.ts';

const CHUNK = 1_048_576;

/** Encrypts and stores a file from the disk, with a bar on a terminal. */
export async function upload(device: Device, path: string): Promise<FileReference> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true) throw new Refused(`${path} is no file.`, 2);
  const { size } = found;
  const name = basename(path);
  const bar = progress(name, size);
  const source = createReadStream(path, { highWaterMark: CHUNK }) as AsyncIterable<Buffer>;
  const mime = 'application/octet-stream';
  const onProgress = bar.advance.bind(bar);
  try {
    return await device.files.upload(source, { name, mime, size, onProgress });
  } finally {
    bar.done();
  }
}

/**
 * Fetches and decrypts a file. The name appears when the whole file has been checked.
 *
 * @param out - where to; the file's own name, in the current folder, when left out
 * @returns where it is
 */
export async function download(device: Device, file: FileReference, out?: string): Promise<string> {
  // The name was chosen by somebody else: it must not lead out of this folder.
  const path = out ?? basename(file.name.replaceAll('\\', '/')).replace(/^\.+/, '');
  if (path === '') throw new Refused('The file has no name; say where to write it.', 2);
  if (out === undefined && (await stat(path).catch(() => undefined))) {
    throw new Refused(`${path} is there already; say where to write the file.`);
  }
  const draft = `${path}.part`;
  const bar = progress(file.name, file.size);
  try {
    const plain = device.files.download(file, { onProgress: bar.advance.bind(bar) });
    await pipeline(Readable.from(plain), createWriteStream(draft, { mode: 0o600 }));
    await rename(draft, path);
    return path;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    bar.done();
  }
}

/** What to call a share in a list. */
export const titleOf = (body: ShareBody) => (body.typ === 'file' ? body.name : body.title);
