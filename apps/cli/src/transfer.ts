import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, rmSync } from 'node:fs';
import { lstat, open, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FileReference, Files } from '#lib/client';
import type { ShareBody } from '#lib/protocol';
import type { Device } from './device.ts';
import { printable } from './printable.ts';
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
 * Fetches and decrypts a file. The name appears when the whole file has been checked and is on the disk; until
 * then its bytes are in a draft beside it, of a name that nobody can foresee.
 *
 * @param out - where to, replacing what is there; when left out, the file's own name in the current folder,
 * which must be free
 * @returns where it is
 * @throws Refused when the own name is taken or cannot be used
 */
export async function download(
  { files }: { files: Pick<Files, 'download'> },
  file: FileReference,
  out?: string,
): Promise<string> {
  // The name was chosen by somebody else: it must not lead out of this folder, nor be one that tools obey.
  const own = printable(basename(file.name.replaceAll('\\', '/')).replace(/^[.-]+/, ''));
  const path = out ?? own;
  if (path === '') throw new Refused('The file has no name; say where to write it.', 2);
  if (out === undefined) await expectFree(path);
  const draft = join(dirname(path), `.lockstep-${randomBytes(9).toString('base64url')}.part`);
  const bar = progress(file.name, file.size);
  const goOn = whenStopped(() => {
    rmSync(draft, { force: true });
  });
  try {
    const plain = files.download(file, { onProgress: bar.advance.bind(bar) });
    const target = createWriteStream(draft, { flags: 'wx', mode: 0o600, flush: true });
    await pipeline(Readable.from(plain), target);
    if (out === undefined) await reserve(path);
    await rename(draft, path);
    return path;
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  } finally {
    goOn();
    bar.done();
  }
}

/** @throws Refused when there is something of this name; Error when it is none that a file can have */
async function expectFree(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (found) throw new Refused(`${path} is there already; say where to write the file.`);
}

/** Takes the name, unless something came there in the meantime: `rename` alone would replace it. */
async function reserve(path: string): Promise<void> {
  try {
    await (await open(path, 'wx', 0o600)).close();
  } catch (error) {
    await expectFree(path);
    throw error;
  }
}

/** Does this when a person stops the program; what it returns takes the promise back. */
function whenStopped(act: () => void): () => void {
  const stop = () => {
    act();
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  return () => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, stop);
  };
}

/** A password or note, as it is shown: each of its members, on as many lines as it has. */
export function secretLines({ title, secret }: Extract<ShareBody, { typ: 'item' }>): string[] {
  const members = Object.entries(secret).flatMap(([name, value]) => {
    const [first = '', ...others] = value.split('\n');
    return [`${name}: ${first}`, ...others.map((line) => `    ${line}`)];
  });
  return [title, ...members];
}

/** What to call a share in a list. */
export const titleOf = (body: ShareBody) => (body.typ === 'file' ? body.name : body.title);
