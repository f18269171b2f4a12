import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ClientError, type Contact, type FileReference, type PlatformOptions } from '#lib/client';
import { equalBytes, fromBase64Url, privateBytes, utf8 } from '#lib/crypto';
import type { ShareBody } from '#lib/protocol';
import { mailedCode } from './mailbox.ts';
import { lookForSecrets, type OperatorsPlace } from './operators-look.ts';
import { Person } from './person.ts';
import type { RealFile } from './real-file.ts';
import { fetchFrom, storageCredentials } from './trespasser.ts';

/** What a step came to; `skipped` says why it could not be done. */
export interface Outcome {
  detail: string;
  skipped?: boolean;
}

/** One step of the journey. */
export interface Step {
  name: string;
  run: () => Promise<Outcome>;
}

/** What the journey works on. */
export interface JourneyParts {
  url: string;
  platform: PlatformOptions;
  file: RealFile;
  /** Where mail, blobs, log and database are; nothing of it for a server of somebody else. */
  place: OperatorsPlace;
  /** Begins to show the progress of a transfer of so many bytes. */
  progress: (title: string, bytes: number) => { advance(bytes: number): void; done(): void };
}

const refuse = (why: string): never => {
  throw new Error(why);
};

/**
 * Alice shares a file and a password with Bob and Carol through a server that can read neither, and Mallory
 * tries. Everything that an app or device does goes through libs/client, over HTTP.
 */
export class Journey {
  readonly #parts: JourneyParts;
  readonly #alice: Person;
  readonly #bob: Person;
  readonly #carol: Person;
  readonly #mallory: Person;
  readonly #password = `netflix-${crypto.randomUUID()}`;
  #contacts = new Map<string, Contact>();
  #reference: FileReference | undefined;

  constructor(parts: JourneyParts) {
    this.#parts = parts;
    const meet = (name: string) => new Person(name, parts.url, parts.platform);
    this.#alice = meet('Alice');
    this.#bob = meet('Bob');
    this.#carol = meet('Carol');
    this.#mallory = meet('Mallory');
  }

  /** In their order; each needs those before it. */
  readonly steps: readonly Step[] = [
    { name: 'sign up, prove the address, sign in', run: () => this.#signUp() },
    { name: 'authorize demo-app', run: () => this.#authorize() },
    { name: 'publish keys; open them on a second device', run: () => this.#publish() },
    { name: 'discover Bob and Carol', run: () => this.#discover() },
    { name: 'encrypt, upload, share', run: () => this.#share() },
    { name: 'receive and decrypt; Mallory gets nothing', run: () => this.#receive() },
    { name: 'look as the operator', run: () => this.#look() },
  ];

  get #everybody(): Person[] {
    return [this.#alice, this.#bob, this.#carol, this.#mallory];
  }

  async #signUp(): Promise<Outcome> {
    let proved = 0;
    for (const person of this.#everybody) {
      const code = (uid: string) => mailedCode(this.#parts.place.dataDir, uid);
      if (await person.signUp(code)) proved++;
    }
    return { detail: `4 accounts; ${proved} got no keys before the mailed code was given` };
  }

  async #authorize(): Promise<Outcome> {
    for (const person of this.#everybody) await person.connect();
    const kBrs = new Set(this.#everybody.map(({ device }) => device.app.export().kBr?.k));
    if (kBrs.size !== 4) refuse('Two people have the same kBr.');
    return { detail: 'code with PKCE, four audiences, kBr delivered as keys_jwe' };
  }

  async #publish(): Promise<Outcome> {
    for (const { device } of this.#everybody) await device.keys.publish();
    const first = await this.#alice.device.keys.own();
    const second = await (await this.#alice.anotherDevice()).keys.own();
    if (!equalBytes(privateBytes(first.privateJwk), privateBytes(second.privateJwk)))
      refuse('The devices have different keys.');
    return { detail: `4 key lists; Alice’s second device opened ${second.publicJwk.kid}` };
  }

  async #discover(): Promise<Outcome> {
    const emails = [this.#bob.email, this.#carol.email];
    const nobody = `nobody-${crypto.randomUUID()}@example.org`;
    this.#contacts = await this.#alice.device.keys.discover([...emails, nobody]);
    if (this.#contacts.size !== 2) refuse('Discovery did not find exactly Bob and Carol.');
    const again = await this.#alice.device.keys.discover(emails);
    if ([...again.values()].some(({ isNew }) => isNew)) refuse('The identities were not pinned.');
    return { detail: '2 of 3 addresses found, identities pinned' };
  }

  async #share(): Promise<Outcome> {
    const { file } = this.#parts;
    const { files, sharing } = this.#alice.device;
    const bar = this.#parts.progress('upload', file.size);
    const reference = await files.upload(file.read(), {
      ...{ name: file.name, mime: 'application/octet-stream', size: file.size },
      onProgress: bar.advance.bind(bar),
    });
    bar.done();
    if (reference.sha256 !== file.sha256) refuse('The file changed while it was read.');
    this.#reference = reference;
    const [bob, carol] = [this.#contact(this.#bob), this.#contact(this.#carol)];
    await sharing.shareFile(reference, [bob]);
    await sharing.shareFile(reference, [bob, carol]);
    const secret = { username: 'alice', password: this.#password };
    await sharing.share({ typ: 'item', title: 'Netflix', secret }, [bob]);
    return { detail: `${mebibytes(file.size)}, stored once; 2 file shares, 1 password` };
  }

  async #receive(): Promise<Outcome> {
    const forBob = await this.#take(this.#bob, 3);
    const forCarol = await this.#take(this.#carol, 1);
    const item = forBob.find(({ typ }) => typ === 'item');
    if (item?.typ !== 'item' || item.secret['password'] !== this.#password) {
      refuse('Bob did not get the password.');
    }
    await this.#download(this.#bob, forBob);
    await this.#download(this.#carol, forCarol);
    await this.#trespass();
    return { detail: 'SHA-256 equal for Bob and Carol; Mallory: no file, no record' };
  }

  /** What came from Alice, accepted. */
  async #take(person: Person, count: number): Promise<ShareBody[]> {
    const { sharing } = person.device;
    const { items, refused } = await sharing.inbox();
    const [first] = refused;
    if (first) throw first.error;
    if (items.length !== count) refuse(`${person.name} found ${items.length} shares.`);
    const stranger = items.find(({ from }) => from.uid !== this.#alice.account.uid);
    if (stranger) refuse(`${person.name} got something from a stranger.`);
    for (const item of items) await sharing.accept(item);
    return (await sharing.accepted()).shares.map(({ body }) => body);
  }

  async #download(person: Person, shares: readonly ShareBody[]): Promise<void> {
    const file = shares.find((body) => body.typ === 'file') ?? refuse('There is no file.');
    const folder = await mkdtemp(join(tmpdir(), 'lockstep-received-'));
    const bar = this.#parts.progress(`download by ${person.name}`, file.size);
    const hash = createHash('sha256');
    try {
      const plain = person.device.files.download(file, {
        onProgress: bar.advance.bind(bar),
      });
      await pipeline(
        Readable.from(plain),
        async function* (chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of chunks) {
            hash.update(chunk);
            yield chunk;
          }
        },
        createWriteStream(join(folder, 'received')),
      );
    } finally {
      bar.done();
      await rm(folder, { recursive: true });
    }
    if (hash.digest('base64url') !== this.#parts.file.sha256) {
      refuse(`${person.name} has another file.`);
    }
  }

  /** Mallory tries every door, even with everything that Alice knows about the file. */
  async #trespass(): Promise<void> {
    const { device } = this.#mallory;
    const file = this.#reference ?? refuse('There is no file.');
    const chunks = device.files.download(file);
    await expectRefusal('downloaded the file', () => chunks.next());
    const { items, refused } = await device.sharing.inbox();
    if (items.length + refused.length > 0) refuse('Mallory got a share.');
    if (await device.storage.get('files', file.id)) refuse('Mallory read a record of Alice.');
    const own = await storageCredentials(device.app);
    const bobs = await storageCredentials(this.#bob.device.app);
    for (const path of ['/info/collections', '/storage/inbox?full=1', '/storage/shares?full=1']) {
      const status = await fetchFrom(bobs.api_endpoint + path, own);
      if (status < 400) refuse(`Mallory read ${path} of Bob.`);
    }
  }

  async #look(): Promise<Outcome> {
    const { place, file } = this.#parts;
    if (place.dataDir === undefined && place.databaseUrl === undefined) {
      return {
        detail: 'skipped: give --data or DATABASE_URL to look into a server that is not the demo’s',
        skipped: true,
      };
    }
    const secrets = new Map<string, Uint8Array>();
    for (const { name, password, account, device } of this.#everybody) {
      secrets.set(`${name}’s password`, utf8(password));
      secrets.set(`${name}’s kB`, (await account.fetchKeys()).kB);
      secrets.set(`${name}’s kBr`, device.app.kBr.k);
      const { privateJwk } = await device.keys.own();
      secrets.set(`${name}’s private key`, privateBytes(privateJwk));
    }
    secrets.set('the shared password', utf8(this.#password));
    const { fk, segment } = this.#reference ?? refuse('There is no file.');
    secrets.set('the file key', fromBase64Url(fk));
    for (const [name, value] of await file.windows(segment)) secrets.set(name, value);
    const look = await lookForSecrets(place, secrets);
    const [hit] = look.hits;
    if (hit) refuse(`${hit.secret} is readable as ${hit.form} in ${hit.place}.`);
    const where = `${look.tables} tables, ${look.rows} rows, ${look.files} files`;
    return {
      detail: `${look.secrets} secrets in none of ${where} (${mebibytes(look.bytes)}); a planted one was found`,
    };
  }

  #contact({ email, name }: Person): Contact {
    return this.#contacts.get(email) ?? refuse(`${name} was not discovered.`);
  }
}

/** Passes when the server refuses. */
async function expectRefusal(what: string, attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    if (error instanceof ClientError && [401, 403, 404].includes(error.status)) return;
    throw error;
  }
  refuse(`Mallory ${what}.`);
}

const mebibytes = (bytes: number) => `${(bytes / 1_048_576).toFixed(1)} MiB`;
