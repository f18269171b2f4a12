/** Something that must not be found, and where it was. */
export interface Hit {
  secret: string;
  form: string;
  place: string;
}

interface Needle {
  secret: string;
  form: string;
  bytes: Buffer;
}

/** Bits of the table that tells at once, for nearly every position, that no needle begins there. */
const SIEVE_BITS = 22;

/**
 * Secrets in every form a server might have kept them in: raw bytes, hex, base64 and base64url, the last two
 * wherever the secret may begin within a longer text. One pass over the data looks for all of them.
 */
export class Needles {
  readonly #byStart = new Map<number, Needle[]>();
  readonly #sieve = new Uint8Array(2 ** SIEVE_BITS);
  #longest = 0;
  #count = 0;

  /** How many secrets are looked for. */
  get size(): number {
    return this.#count;
  }

  /** @throws RangeError for a secret so short that chance would find it */
  add(secret: string, value: Uint8Array): void {
    if (value.length < 8) throw new RangeError('Secrets below 8 bytes would be found by chance.');
    this.#count++;
    const raw = Buffer.from(value);
    this.#addForm(secret, 'raw bytes', raw);
    this.#addForm(secret, 'hex', Buffer.from(raw.toString('hex')));
    this.#addForm(secret, 'upper-case hex', Buffer.from(raw.toString('hex').toUpperCase()));
    for (let before = 0; before < 3; before++) {
      // Only the characters that the secret alone decides: its neighbours share the first and the last.
      const from = Math.ceil((before * 8) / 6);
      const to = Math.floor(((before + raw.length) * 8) / 6);
      const text = Buffer.concat([Buffer.alloc(before), raw]);
      this.#addForm(secret, 'base64', Buffer.from(text.toString('base64').slice(from, to)));
      this.#addForm(secret, 'base64url', Buffer.from(text.toString('base64url').slice(from, to)));
    }
  }

  #addForm(secret: string, form: string, bytes: Buffer): void {
    const start = bytes.readUInt32LE(0);
    const others = this.#byStart.get(start);
    if (others) others.push({ secret, form, bytes });
    else this.#byStart.set(start, [{ secret, form, bytes }]);
    this.#sieve[slot(start)] = 1;
    this.#longest = Math.max(this.#longest, bytes.length);
  }

  /** Looks through a stream, holding one chunk and the longest needle's length of it. */
  async search(
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    place: string,
  ): Promise<{ hits: Hit[]; bytes: number }> {
    const hits: Hit[] = [];
    let bytes = 0;
    let carry: Buffer = Buffer.alloc(0);
    for await (const chunk of chunks) {
      bytes += chunk.length;
      const data = Buffer.concat([carry, chunk]);
      // A needle that may go on in the next chunk is looked for when that is there.
      const end = Math.max(0, data.length - this.#longest);
      this.#scan(data, end, (needle) => hits.push({ ...named(needle), place }));
      carry = data.subarray(end);
    }
    this.#scan(carry, carry.length - 3, (needle) => hits.push({ ...named(needle), place }));
    return { hits, bytes };
  }

  #scan(data: Buffer, end: number, found: (needle: Needle) => void): void {
    const sieve = this.#sieve;
    for (let at = 0; at < end; at++) {
      const start = data.readUInt32LE(at);
      if (sieve[slot(start)] !== 1) continue;
      for (const needle of this.#byStart.get(start) ?? []) {
        const { bytes } = needle;
        if (data.subarray(at, at + bytes.length).equals(bytes)) found(needle);
      }
    }
  }
}

const slot = (start: number) => Math.imul(start, 0x9e3779b1) >>> (32 - SIEVE_BITS);
const named = ({ secret, form }: Needle) => ({ secret, form });
