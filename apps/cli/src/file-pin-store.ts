import { dirname, join } from 'node:path';
import { z } from 'zod';
import { Pin, type PinKey, pinName, pinsOf, type PinStore } from '#lib/client';
import {
  configFolder,
  locked,
  makePrivateFolder,
  readPrivateFile,
  writePrivateFile,
} from '#lib/client-node';

const Memory = z.object({
  /** The realm of each server, by address, since the first contact. */
  realms: z.record(z.string(), z.string()).default({}),
  pins: z.record(z.string(), Pin).default({}),
});
type Memory = z.infer<typeof Memory>;

/** What one profile remembers of servers and people, in a file of mode 600. It outlives a sign-out. */
export class FilePinStore implements PinStore {
  readonly #path: string;

  constructor(profile: string) {
    this.#path = join(configFolder(), profile, 'pins.json');
  }

  async get(key: PinKey): Promise<Pin | undefined> {
    return (await this.#read()).pins[pinName(key)];
  }

  async update(key: PinKey, change: (known: Pin | undefined) => Pin): Promise<void> {
    await this.#change((memory) => {
      const known = memory.pins[pinName(key)];
      const pin = change(known);
      if (pin === known) return false;
      memory.pins[pinName(key)] = pin;
      return true;
    });
  }

  async all(place: Omit<PinKey, 'uid'>): Promise<{ uid: string; pin: Pin }[]> {
    return pinsOf(Object.entries((await this.#read()).pins), place);
  }

  /** Tells whether the server at this address always had this realm; the first one is remembered. */
  async isSameRealm(server: string, realm: string): Promise<boolean> {
    const { origin, pathname } = new URL(server);
    const address = (origin + pathname).replace(/\/+$/, '');
    let isSame = true;
    await this.#change((memory) => {
      const known = memory.realms[address];
      isSame = known === undefined || known === realm;
      if (known !== undefined) return false;
      memory.realms[address] = realm;
      return true;
    });
    return isSame;
  }

  /** @throws ZodError for a file that somebody else wrote: pins are not to be lost in silence */
  async #read(): Promise<Memory> {
    return Memory.parse((await readPrivateFile(this.#path)) ?? {});
  }

  /** @param edit - tells whether there is something to keep */
  async #change(edit: (memory: Memory) => boolean): Promise<void> {
    await makePrivateFolder(dirname(this.#path));
    await locked(this.#path, async () => {
      const memory = await this.#read();
      if (edit(memory)) await writePrivateFile(this.#path, memory);
    });
  }
}
