import type { PinStore } from './pin-store.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import type { Contacts } from './contacts.ts';
import type { HistoryEntry } from './key-history.ts';
import type { OwnPair, OwnPlace } from './own-keys.ts';

/** What is audited: the calls of `Keys`. */
interface Audited {
  contacts: Contacts;
  own: () => Promise<OwnPair>;
  refresh: () => Promise<OwnPair>;
  history: () => Promise<HistoryEntry[]>;
}

/** One thing that was looked at. */
export interface AuditCheck {
  what: string;
  /** What was seen, in words. */
  detail: string;
  /** `ask`: no lie as far as one can see; the person themselves has to be asked, and compared with anew. */
  verdict: 'ok' | 'ask' | 'lie';
  /** Why it did not pass. */
  error?: IntegrityError;
}

/** What an audit looked at; `isSound` when nothing in it is a lie. */
export interface Audit {
  checks: AuditCheck[];
  isSound: boolean;
}

/**
 * Looks at everything that the server says of one's own keys, and at everybody one has met, and lists what is
 * not as it was proved or remembered.
 *
 * What it cannot see: a state that fits together and is older than this device's memory, and a list shown to
 * others alone. That takes the transparency log.
 *
 * @throws ClientError when the server does not answer
 * @see keys.md §3.6, "Owner self-audit"
 */
export async function auditKeys(
  keys: Audited,
  { pins, place }: { pins: PinStore; place: OwnPlace },
): Promise<Audit> {
  const checks: AuditCheck[] = [];
  const check = async (what: string, look: () => Promise<string>): Promise<boolean> => {
    try {
      checks.push({ what, detail: await look(), verdict: 'ok' });
      return true;
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      const verdict = error.code === 'IDENTITY_RESET' ? 'ask' : 'lie';
      checks.push({ what, detail: error.message, verdict, error });
      return false;
    }
  };

  const pin = await pins.get(place);
  await check('your key list', async () => {
    const { list, revoked } = await keys.refresh();
    const beside = revoked.length > 0 ? `, ${revoked.length} of them revoked by token` : '';
    return `version ${list.ver}, signed by the identity that your own key gives, ${counted(list.keys.length, 'key')}${beside}`;
  });
  await check('your private keys', async () => {
    const own = await keys.own();
    return `${own.keys.size} of ${own.list.keys.length} open, each the one that the list commits to`;
  });
  await check('your history', async () => {
    const entries = await keys.history();
    const known = entries.find(({ list }) => list.ver === pin?.version);
    if (pin && known?.hash !== pin.list) {
      const detail = 'The history lacks a list that this device has seen.';
      throw new IntegrityError('KEY_LIST_FORKED', detail);
    }
    const resets = entries.filter(({ step }) => step === 'reset').length;
    const words = resets === 0 ? 'no reset' : `${resets} of them a reset`;
    return `${counted(entries.length, 'list')}, each following the one before, ${words}`;
  });
  if (pins.trouble) {
    await check('people your devices have met', async () => {
      const trouble = await pins.trouble?.();
      if (trouble) throw trouble;
      return 'remembered alike by your devices, in a record that the server cannot read';
    });
  }
  for (const { uid, name } of await keys.contacts.known()) {
    await check(name === undefined ? uid : `${name} (${uid})`, async () => {
      const contact = await keys.contacts.lookUp(uid).catch((error: unknown) => {
        if (error instanceof ClientError && error.status === 404) return undefined;
        // Signed by the identity that was met: no lie, and nothing to send to.
        if (error instanceof IntegrityError && error.code === 'KEY_REVOKED') return 'revoked';
        throw error;
      });
      if (!contact) return 'not to be found any more: hidden, deleted or withheld';
      if (contact === 'revoked') return 'revoked the key, and has published no other yet';
      const how = contact.isChecked ? 'compared with its owner' : 'not compared with its owner';
      return `version ${contact.version}, the identity that was met, ${how}`;
    });
  }
  return { checks, isSound: checks.every(({ verdict }) => verdict !== 'lie') };
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
