import { createHash, randomBytes } from 'node:crypto';
import { FLOE_HEADER_LENGTH } from '#lib/crypto';
import type { FileReference } from '#lib/client';
import { TestServer } from '../support/test-server.ts';
import { join, refusal, type Victim } from './people.ts';

const SEGMENT = 65_536;

describe('a server that spoils files', () => {
  let server: TestServer;
  let alice: Victim;
  let file: FileReference;
  let other: FileReference;
  const plain = randomBytes(300_000);
  const FILE = /^\/files\/v1\/[0-9a-f]{32}\/files\//;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await join(server, 'Alice');
    file = await upload(plain);
    other = await upload(randomBytes(300_000));
  });
  afterAll(() => server.stop());
  afterEach(() => {
    alice.liar.repent();
  });

  function upload(bytes: Uint8Array): Promise<FileReference> {
    const about = { name: 'a file', mime: 'application/octet-stream', size: bytes.length };
    return alice.device.files.upload(once(bytes), about);
  }
  async function download(): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of alice.device.files.download(file)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }
  /** The header and the segments of a ciphertext. */
  function parts(sealed: Buffer): Buffer[] {
    const found = [sealed.subarray(0, FLOE_HEADER_LENGTH)];
    for (let at = FLOE_HEADER_LENGTH; at < sealed.length; at += SEGMENT) {
      found.push(sealed.subarray(at, at + SEGMENT));
    }
    return found;
  }
  async function ciphertextOf({ root, id }: FileReference): Promise<Buffer> {
    const token = await alice.device.app.tokens.for('files');
    const response = await fetch(`${server.url}/files/v1/${root}/files/${id}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return Buffer.from(await response.arrayBuffer());
  }

  it('is believed when it does not', async () => {
    expect(file.segment).toBe(SEGMENT);
    expect((await download()).equals(plain)).toBe(true);
  });

  const spoilings: [string, (segments: Buffer[]) => Buffer[]][] = [
    ['truncated after a segment', (found) => found.slice(0, -1)],
    ['truncated within a segment', (found) => [...found.slice(0, -1), tail(found).subarray(1)]],
    ['truncated to its header', ([header = Buffer.alloc(0)]) => [header]],
    ['empty', () => []],
    ['extended', (found) => [...found, Buffer.alloc(100)]],
    ['extended by its last segment', (found) => [...found, tail(found)]],
    ['reordered', ([header, first, second, ...rest]) => whole(header, second, first, ...rest)],
    ['repeated', ([header, first, , ...rest]) => whole(header, first, first, ...rest)],
    ['altered by one bit', (found) => found.map((part, i) => (i === 2 ? flipped(part) : part))],
  ];

  it.each(spoilings)('is found out when a file is %s', async (_, spoil) => {
    alice.liar.alterBytes('GET', FILE, (sealed) => bytesOf(spoil(parts(sealed))));
    const handedOut: Uint8Array[] = [];
    const reading = async () => {
      for await (const chunk of alice.device.files.download(file)) handedOut.push(chunk);
    };
    await expect(reading()).rejects.toMatchObject(refusal('FILE_FORGED'));
    // What came before the lie was found is authentic and in its place.
    const bytes = Buffer.concat(handedOut);
    expect(plain.subarray(0, bytes.length).equals(bytes)).toBe(true);
    expect(bytes.length).toBeLessThan(plain.length);
  });

  it('is found out when a segment comes from another file', async () => {
    const foreign = parts(await ciphertextOf(other))[2];
    alice.liar.alterBytes('GET', FILE, (sealed) =>
      bytesOf(parts(sealed).map((part, i) => (i === 2 ? (foreign ?? part) : part))),
    );
    await expect(download()).rejects.toMatchObject(refusal('FILE_FORGED'));
  });

  it('is found out when it sends another file', async () => {
    const foreign = await ciphertextOf(other);
    alice.liar.alterBytes('GET', FILE, () => bytesOf([foreign]));
    await expect(download()).rejects.toMatchObject(refusal('FILE_FORGED'));
  });

  it('is found out when it sends a file that its owner moved to another id', async () => {
    // Even somebody who has the key cannot pass one file off as another.
    const id = other.id;
    const moved = alice.device.files.download({ ...file, id });
    const sealed = await ciphertextOf(file);
    alice.liar.alterBytes('GET', FILE, () => bytesOf([sealed]));
    await expect(moved.next()).rejects.toMatchObject(refusal('FILE_FORGED'));
  });

  it('is found out when the content is not what the sharer hashed', async () => {
    const sha256 = createHash('sha256').update('another').digest('base64url');
    const lied = alice.device.files.download({ ...file, sha256 });
    await expect(drain(lied)).rejects.toMatchObject(refusal('FILE_FORGED'));
  });

  it.each([
    ['key', { fk: `${'A'.repeat(42)}B` }],
    ['size', { size: Number.MAX_SAFE_INTEGER }],
    ['header', { header: 'A' }],
  ])('is refused by its name when the sharer named an impossible %s', async (_, change) => {
    const impossible = alice.device.files.download({ ...file, ...change });
    await expect(drain(impossible)).rejects.toMatchObject(refusal('FILE_FORGED'));
  });

  it.each([
    ['other bytes', { sha256: createHash('sha256').update('another').digest('base64url') }],
    ['another length', { size: 1 }],
    ['another id', { id: 'AAAAAAAAAAAAAAAAAAAAAA' }],
  ])('is found out when it confirms %s than were uploaded', async (_, change) => {
    alice.liar.alter('PUT', FILE, (answer) => ({ ...answer, ...change }));
    await expect(upload(plain)).rejects.toMatchObject(refusal('UPLOAD_ALTERED'));
  });

  it('is found out when it spoils the reference of a file', async () => {
    const before = await alice.device.files.list();
    alice.liar.alter('GET', /\/storage\/files$/, (answer) =>
      answer.map((bso: { id: string }) => (bso.id === file.id ? { ...bso, payload: '{}' } : bso)),
    );
    const { files, refused } = await alice.device.files.list();
    expect(files).toHaveLength(before.files.length - 1);
    expect(refused).toMatchObject([{ id: file.id, error: refusal('RECORD_FORGED') }]);
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- uploads read streams
async function* once(bytes: Uint8Array) {
  yield bytes;
}

async function drain(chunks: AsyncIterator<Uint8Array>): Promise<void> {
  while ((await chunks.next()).done !== true);
}

const whole = (...segments: (Buffer | undefined)[]) =>
  segments.map((part) => part ?? Buffer.alloc(0));
const tail = (segments: Buffer[]) => segments.at(-1) ?? Buffer.alloc(0);
const bytesOf = (segments: Buffer[]) => new Uint8Array(Buffer.concat(segments));
function flipped(segment: Buffer): Buffer {
  const copy = Buffer.from(segment);
  copy.writeUInt8(copy.readUInt8(500) ^ 1, 500);
  return copy;
}
