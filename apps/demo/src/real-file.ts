import { createHash, randomBytes, randomInt } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';

const MADE_BYTES = 32 * 1024 * 1024;
const CHUNK = 1_048_576;
const WINDOW = 32;
const WINDOWS = 1000;
/** A window of fewer different bytes (a run of zeros) would be found anywhere. */
const DIFFERENT_MIN = 12;

/** The file of the journey. */
export class RealFile {
  private constructor(
    readonly path: string,
    readonly size: number,
    /** base64url, of the plaintext as it lies on the disk. */
    readonly sha256: string,
  ) {}

  get name(): string {
    return basename(this.path);
  }

  /** @throws Error when the file cannot be read */
  static async at(path: string): Promise<RealFile> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    return new RealFile(path, (await stat(path)).size, hash.digest('base64url'));
  }

  /** Makes a file of 32 MiB of random bytes. */
  static async make(path: string): Promise<RealFile> {
    const file = await open(path, 'wx', 0o600);
    try {
      for (let bytes = 0; bytes < MADE_BYTES; bytes += CHUNK) await file.write(randomBytes(CHUNK));
    } finally {
      await file.close();
    }
    return RealFile.at(path);
  }

  /** The plaintext, a megabyte at a time. */
  read(): AsyncIterable<Uint8Array> {
    return createReadStream(this.path, { highWaterMark: CHUNK }) as AsyncIterable<Buffer>;
  }

  /**
   * Pieces of the plaintext that nobody else may have: 1,000 windows of 32 bytes at random places, and one
   * across every boundary of an encrypted segment.
   *
   * @param segment - S, bytes of an encrypted segment
   */
  async windows(segment: number): Promise<Map<string, Uint8Array>> {
    const found = new Map<string, Uint8Array>();
    const last = this.size - WINDOW;
    if (last < 0) return found;
    const file = await open(this.path);
    const take = async (name: string, position: number) => {
      const window = Buffer.alloc(WINDOW);
      await file.read(window, 0, WINDOW, position);
      if (new Set(window).size >= DIFFERENT_MIN) found.set(name, window);
    };
    try {
      const room = segment - 32;
      for (let at = room; at < this.size; at += room) {
        await take(`plaintext across ${at}`, Math.min(at - WINDOW / 2, last));
      }
      await take('plaintext at its start', 0);
      await take('plaintext at its end', last);
      for (let i = 0; i < WINDOWS; i++) {
        const at = randomInt(last + 1);
        await take(`plaintext at ${at}`, at);
      }
    } finally {
      await file.close();
    }
    return found;
  }
}
