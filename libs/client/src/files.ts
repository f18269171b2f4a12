import {
  concat,
  CryptoRefusal,
  decryptFloe,
  encryptFloe,
  equalBytes,
  FLOE_HEADER_LENGTH,
  floeSize,
  fromBase64Url,
  randomBytes,
  type Sha256,
  toBase64Url,
  utf8,
} from '#lib/crypto';
import { type FileGrant, ShareBody, StoredFile } from '#lib/protocol';
import type { App } from './app.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { paddedLength } from './padding.ts';
import { Stall } from './stall.ts';
import type { RefusedRecord, Storage } from './storage.ts';

/** Where a file is and everything that opens it. Whoever has this and a grant can read the file. */
export type FileReference = Extract<ShareBody, { typ: 'file' }>;

/** What an upload needs to know before it begins. */
export interface Upload {
  name: string;
  /** A media type. */
  mime: string;
  /** Bytes; the source must hold exactly as many. */
  size: number;
  /** Called with the bytes that were just taken from the source. */
  onProgress?: (bytes: number) => void;
}

/** The collection of one's own file references. */
const COLLECTION = 'files';
const SMALL = 4 * 1024 * 1024;
const SEGMENT_SMALL = 65_536;
const SEGMENT_LARGE = 1_048_576;
const ZEROS = new Uint8Array(65_536);

/**
 * Files in Cloud Storage: encrypted and decrypted here, in a stream, a few segments in memory. The server gets
 * ciphertext of a padded length; the key goes into the reference, which is kept as a record or shared.
 *
 * @see files-and-sharing.md §2b; docs/protocol/formats.md §7
 */
export class Files {
  readonly #app: App;
  readonly #storage: Storage;

  constructor(app: App, storage: Storage) {
    this.#app = app;
    this.#storage = storage;
  }

  /**
   * Encrypts under a fresh key, uploads, and keeps the reference.
   *
   * @throws RangeError when the source is longer or shorter than `size`
   * @throws IntegrityError `UPLOAD_ALTERED` when the server did not receive what was sent
   * @throws ClientError `over-quota`, `too-large`
   */
  async upload(source: AsyncIterable<Uint8Array>, upload: Upload): Promise<FileReference> {
    const { server, tokens, uid } = this.#app;
    const { name, mime, size } = upload;
    const id = toBase64Url(randomBytes(16));
    const key = randomBytes(32);
    const segment = size < SMALL ? SEGMENT_SMALL : SEGMENT_LARGE;
    const length = floeSize(paddedLength(size), segment);
    const [plainHash, sealedHash] = [
      server.platform.createSha256(),
      server.platform.createSha256(),
    ];
    const stall = new Stall();
    let header = new Uint8Array();
    const sealed = watch(
      encryptFloe(pad(source, { ...upload, hash: plainHash }), {
        ...{ key, segmentLength: segment, aead: server.platform.aead },
        aad: this.#aad(id),
      }),
      (chunk) => {
        if (header.length === 0) header = chunk.slice(0, FLOE_HEADER_LENGTH);
        sealedHash.update(chunk);
        stall.moved();
      },
    );
    // Before the stream starts: it can be sent once only, so the token must hold.
    await tokens.for('files');
    const stream = toStream(sealed);
    const ask = {
      method: 'PUT',
      url: `/files/v1/${uid}/files/${id}`,
      headers: {
        'content-type': 'application/octet-stream',
        'content-length': String(length),
        'if-none-match': '*',
      },
      stream,
      signal: stall.signal,
    } as const;
    let stored: StoredFile;
    try {
      stored = await tokens.bearing('files', ask, (signed) => server.http.json(signed, StoredFile));
    } catch (error) {
      throw sealed.failure ?? error;
    } finally {
      stall.done();
    }
    const isSame = stored.sha256 === toBase64Url(sealedHash.digest());
    if (!isSame || stored.id !== id || stored.size !== length) {
      throw new IntegrityError('UPLOAD_ALTERED', 'The server did not receive what was sent.');
    }
    const reference: FileReference = {
      ...{ typ: 'file', root: uid, id, version: stored.version },
      ...{ fk: toBase64Url(key), header: toBase64Url(header), segment, size },
      ...{ sha256: toBase64Url(plainHash.digest()), name, mime },
    };
    await this.#storage.put(COLLECTION, id, reference);
    return reference;
  }

  /**
   * Downloads and decrypts. Every byte handed out is authentic and in its place, but only the end of the
   * iteration says that the file was whole: keep nothing of one that throws.
   *
   * @throws IntegrityError `FILE_FORGED` when the ciphertext was cut, extended, reordered, altered, or another
   * file's, or the plaintext has another SHA-256
   * @throws ClientError `not-found` without a grant
   */
  async *download(
    file: FileReference,
    { onProgress }: { onProgress?: (bytes: number) => void } = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { server, tokens } = this.#app;
    const stall = new Stall();
    try {
      const ask = { url: `/files/v1/${file.root}/files/${file.id}`, signal: stall.signal };
      const response = await tokens.bearing('files', ask, (signed) => server.http.send(signed));
      const sealed = watch(chunksOf(response), () => {
        stall.moved();
      });
      const plain = decryptFloe(sealed, {
        ...{ key: fromBase64Url(file.fk), aad: this.#aad(file.id), aead: server.platform.aead },
        expectedHeader: fromBase64Url(file.header),
        plainLength: paddedLength(file.size),
      });
      const hash = server.platform.createSha256();
      let left = file.size;
      for await (const chunk of plain) {
        const part = chunk.subarray(0, left);
        left -= part.length;
        hash.update(part);
        onProgress?.(part.length);
        if (part.length > 0) yield part;
      }
      if (left > 0 || !equalBytes(hash.digest(), fromBase64Url(file.sha256))) {
        throw new IntegrityError('FILE_FORGED', `${file.name} is not the file that was shared.`);
      }
    } catch (cause) {
      // A reference that a sender made up may ask for impossible keys and lengths.
      if (!(cause instanceof CryptoRefusal) && !(cause instanceof RangeError)) throw cause;
      const detail = `${file.name} was changed on its way.`;
      throw new IntegrityError('FILE_FORGED', detail, { cause });
    } finally {
      stall.done();
    }
  }

  /** Lets another user of the app read a file of one's own, until `exp` or for good. */
  async grant(file: FileReference, uid: string, grant: FileGrant = {}): Promise<void> {
    await this.#run({ method: 'PUT', url: `${pathOf(file)}/grants/${uid}`, json: grant });
  }

  /** Takes a grant back; what was downloaded before stays with who has it. */
  async withdraw(file: FileReference, uid: string): Promise<void> {
    await this.#run({ method: 'DELETE', url: `${pathOf(file)}/grants/${uid}` });
  }

  /** Deletes a file of one's own, and its reference. */
  async delete(file: FileReference): Promise<void> {
    await this.#run({ method: 'DELETE', url: pathOf(file), headers: { 'if-match': '*' } });
    await this.#storage.delete(COLLECTION, file.id);
  }

  /** One's own file. @returns undefined when there is none of this id */
  async find(id: string): Promise<FileReference | undefined> {
    const record = await this.#storage.get(COLLECTION, id);
    return record && readReference(id, record.value);
  }

  /** One's own files, and apart from them the records that the server spoiled. */
  async list(): Promise<{ files: FileReference[]; refused: RefusedRecord[] }> {
    const { records, refused } = await this.#storage.records(COLLECTION);
    const files: FileReference[] = [];
    for (const { id, value } of records) {
      try {
        files.push(readReference(id, value));
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        refused.push({ id, error });
      }
    }
    return { files, refused };
  }

  async #run(ask: {
    method: 'PUT' | 'DELETE';
    url: string;
    json?: unknown;
    headers?: Record<string, string>;
  }): Promise<void> {
    const { server, tokens } = this.#app;
    await tokens.bearing('files', ask, (signed) => server.http.run(signed));
  }

  /** `"files/1" 0x00 u16(length of the app) app id(16)`: the file opens in this app, under this id only. */
  #aad(id: string): Uint8Array {
    const app = utf8(this.#app.clientId);
    const length = Uint8Array.of(app.length >> 8, app.length & 0xff);
    return concat(utf8('files/1\0'), length, app, fromBase64Url(id));
  }
}

const pathOf = ({ root, id }: FileReference) => `/files/v1/${root}/files/${id}`;

function readReference(id: string, value: unknown): FileReference {
  const { success, data, error: cause } = ShareBody.safeParse(value);
  if (success && data.typ === 'file' && data.id === id) return data;
  throw new IntegrityError('RECORD_FORGED', 'The record refers to no file.', { cause });
}

/** The source, hashed and counted, and zeros up to the padded length. */
async function* pad(
  source: AsyncIterable<Uint8Array>,
  { size, hash, onProgress }: Upload & { hash: Sha256 },
): AsyncGenerator<Uint8Array, void, undefined> {
  let taken = 0;
  for await (const chunk of source) {
    taken += chunk.length;
    if (taken > size) throw new RangeError('The source is longer than was said.');
    hash.update(chunk);
    onProgress?.(chunk.length);
    yield chunk;
  }
  if (taken < size) throw new RangeError('The source is shorter than was said.');
  for (let left = paddedLength(size) - size; left > 0; left -= ZEROS.length) {
    yield ZEROS.subarray(0, Math.min(left, ZEROS.length));
  }
}

/** Chunks as they pass, and what ended them: `fetch` would report only that its body failed. */
interface Watched extends AsyncIterable<Uint8Array> {
  failure: unknown;
}

function watch(chunks: AsyncIterable<Uint8Array>, seen: (chunk: Uint8Array) => void): Watched {
  const watched: Watched = {
    failure: undefined,
    async *[Symbol.asyncIterator]() {
      try {
        for await (const chunk of chunks) {
          seen(chunk);
          yield chunk;
        }
      } catch (error) {
        watched.failure = error;
        throw error;
      }
    },
  };
  return watched;
}

function toStream(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await iterator.next();
        if (next.done === true) controller.close();
        else controller.enqueue(next.value);
      },
      async cancel() {
        await iterator.return?.();
      },
    },
    { highWaterMark: 0 },
  );
}

async function* chunksOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  if (!reader) return;
  try {
    for (;;) {
      const next = await reader.read();
      if (next.done) return;
      yield next.value;
    }
  } catch (cause) {
    throw new ClientError('network', 0, 'The download was cut off.', {}, { cause });
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
