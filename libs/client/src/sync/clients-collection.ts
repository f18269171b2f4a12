import { type KeyBundle, randomBytes, sealFormat5, toBase64Url } from '#lib/crypto';
import type { Bso } from '#lib/protocol';
import { z } from 'zod';
import { IntegrityError, isOvertaken } from '../client-error.ts';
import { expectNews, macOf, openRecord } from './open-record.ts';
import { type EngineMemory, knownAfter, retire, type SyncMemory } from './sync-memory.ts';
import type { SyncStore } from './sync-store.ts';

/** The collection by which devices know of each other and tell each other what to do. */
export const CLIENTS = 'clients';

const Command = z.looseObject({
  command: z.string(),
  args: z.array(z.unknown()).default([]),
  flowID: z.string().optional(),
});
/** Something that another device asks this one to do. */
export type SyncCommand = z.infer<typeof Command>;

const Client = z.looseObject({
  id: z.string(),
  name: z.string().default(''),
  type: z.string().default('desktop'),
  commands: z.array(Command).default([]),
});
type Client = z.infer<typeof Client>;

interface Place {
  store: SyncStore;
  bundle: KeyBundle;
  memory: SyncMemory;
  engine: EngineMemory;
}

/** Three weeks: who has not been seen for so long is forgotten. */
const LIFE_SECONDS = 1_814_400;
const RENEW_SECONDS = 604_800;
const ATTEMPTS = 5;

/** Reads the devices, and the commands for this one that were not carried out yet. */
export async function readClients(place: Place) {
  const { store, memory } = place;
  const clients = new Map<string, { client: Client; modified: number }>();
  /** The time of this device's record, when it may be written: there is none, it opens, or it is put right. */
  let own: number | undefined = 0;
  let offset: string | undefined;
  do {
    const page = await store.page(CLIENTS, { offset });
    for (const bso of page.records) {
      const { modified } = bso;
      const { client, mayReplace } = openClient(bso, place);
      if (client) clients.set(bso.id, { client, modified });
      if (bso.id === memory.clientId) own = mayReplace ? modified : undefined;
    }
    offset = page.next;
  } while (offset !== undefined);
  const waiting = clients.get(memory.clientId)?.client.commands ?? [];
  const isNew = ({ flowID }: SyncCommand) =>
    flowID === undefined || !memory.commandsDone.includes(flowID);
  return { clients, own, commands: waiting.filter(isNew) };
}

/** A record that does not open is no device; one that was seen replaced is not believed again. */
function openClient(
  bso: Bso,
  { bundle, engine }: Place,
): { client?: Client | undefined; mayReplace: boolean } {
  const { id, modified } = bso;
  const place = `${CLIENTS}/${id}`;
  const known = Object.hasOwn(engine.records, id) ? engine.records[id] : undefined;
  try {
    const { record, mac } = openRecord(bso, { bundle, place });
    expectNews({ modified, mac, place }, known);
    engine.records[id] = knownAfter(known, { digest: null, modified, mac });
    return { client: Client.safeParse(record).data, mayReplace: true };
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    // Under a key of another time there may be commands in it; whoever changes the keys brings it back.
    const isOurs = error.code === 'SYNC_RECORD_REPLAYED' || known?.modified === modified;
    return { mayReplace: isOurs };
  }
}

/** Notes that commands were carried out, so that they are not again. */
export function noteDone(memory: SyncMemory, commands: readonly SyncCommand[]): void {
  retire(memory.commandsDone, ...commands.flatMap(({ flowID }) => flowID ?? []));
}

/** Writes this device's own record when it has none, or an old one, or one with commands that are done. */
export async function announce(place: Place, name: string): Promise<void> {
  const { store, memory } = place;
  for (let attempt = 1; ; attempt++) {
    const { clients, commands, own } = await readClients(place);
    const areNew = commands.some(({ flowID }) => flowID !== undefined);
    if (own === undefined || areNew) return; // the next sync's
    const client = clients.get(memory.clientId)?.client;
    const isFresh = store.seconds() - own < RENEW_SECONDS;
    if (isFresh && client?.commands.length === 0 && client.name === name) return;
    const record: Client = {
      ...{ type: 'desktop', application: 'Lockstep', protocols: ['1.5'], ...client },
      ...{ id: memory.clientId, name, commands: [] },
    };
    try {
      await write(place, record, own);
      return;
    } catch (error) {
      if (!isOvertaken(error)) throw error;
      if (attempt === ATTEMPTS) return; // no reason not to sync
    }
  }
}

/** Leaves a command for every other device. @returns for how many */
export async function tellOthers(
  place: Place,
  { command, args }: { command: string; args: readonly string[] },
): Promise<number> {
  const flowID = toBase64Url(randomBytes(9));
  const told = new Set<string>();
  for (let attempt = 1; ; attempt++) {
    const { clients } = await readClients(place);
    const others = [...clients.values()].filter(
      ({ client }) => client.id !== place.memory.clientId && !told.has(client.id),
    );
    try {
      for (const { client, modified } of others) {
        const commands = [...client.commands, { command, args: [...args], flowID }];
        await write(place, { ...client, commands }, modified);
        told.add(client.id);
      }
      return told.size;
    } catch (error) {
      if (!isOvertaken(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

async function write({ store, bundle, engine }: Place, client: Client, unmodifiedSince: number) {
  const { id } = client;
  const payload = sealFormat5(client, bundle);
  const bso = { id, payload, ttl: LIFE_SECONDS };
  const modified = await store.put(CLIENTS, bso, { unmodifiedSince });
  const known = Object.hasOwn(engine.records, id) ? engine.records[id] : undefined;
  engine.records[id] = knownAfter(known, { digest: null, modified, mac: macOf(payload) });
}
