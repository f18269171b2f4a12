import { generationOf } from '#lib/protocol';
import type { PinStore } from './pin-store.ts';
import { ClientError, type IntegrityCode, IntegrityError } from './client-error.ts';
import type { Contacts } from './contacts.ts';
import type { HistoryEntry } from './key-history.ts';
import type { CheckedList } from './key-list.ts';
import type { OwnPair, OwnPlace } from './own-keys.ts';

/** What is audited: the calls of `Keys`. */
interface Audited {
  contacts: Contacts;
  own: () => Promise<OwnPair>;
  refresh: () => Promise<OwnPair>;
  history: () => Promise<HistoryEntry[]>;
}

/** What it is held against. */
interface Known {
  pins: PinStore;
  place: OwnPlace;
  /** The list that a reset would replace, if there is one and it is what is remembered. @throws as `Keys.reset` */
  former: () => Promise<CheckedList | undefined>;
}

/** One thing that was looked at. */
export interface AuditCheck {
  what: string;
  /** What was seen, in words. */
  detail: string;
  /**
   * `ask`: no lie as far as one can see. Somebody one has met began anew, and has to be asked and compared with;
   * or one's own list is of the time before a password reset, if there was one.
   */
  verdict: 'ok' | 'ask' | 'lie';
  /** Why it did not pass. */
  error?: IntegrityError;
}

/** What an audit looked at; `isSound` when nothing in it is a lie, and one's own list is of one's own key. */
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
export async function auditKeys(keys: Audited, { pins, place, former }: Known): Promise<Audit> {
  const checks: AuditCheck[] = [];
  /** @param look - throws what is a lie, and gives back what is to be asked */
  const check = async (what: string, look: () => Promise<string | IntegrityError>) => {
    const [verdict, seen] = await judge(look);
    const told =
      typeof seen === 'string' ? { detail: seen } : { detail: seen.message, error: seen };
    checks.push({ what, verdict, ...told });
    return verdict;
  };

  const pin = await pins.get(place);
  const verdict = await check('your key list', async () => {
    try {
      const { list, revoked } = await keys.refresh();
      const beside = revoked.length > 0 ? `, ${revoked.length} of them revoked by token` : '';
      return `version ${list.ver}, signed by the identity that your own key gives, ${counted(list.keys.length, 'key')}${beside}`;
    } catch (error) {
      if (!isCode(error, 'KEY_GENERATION_MISMATCH')) throw error;
      const before = await former();
      if (!before || generationOf(before.list.kbr) >= generationOf(place.kBr.kid)) throw error;
      const memory = pin ? 'the one that this device remembers' : 'and this device remembers none';
      const detail = `Your list is of an earlier key, ${memory}. If you reset your password without a recovery key, begin anew; if you did not, the server lies.`;
      return new IntegrityError('KEY_GENERATION_MISMATCH', detail, { cause: error });
    }
  });
  const isOfBefore = verdict === 'ask';
  // What an earlier key wrapped and signed is nothing that this one could tell apart.
  if (!isOfBefore) {
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
  }
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
        if (isCode(error, 'KEY_REVOKED')) return 'revoked';
        if (isCode(error, 'IDENTITY_RESET')) return error;
        throw error;
      });
      if (contact instanceof IntegrityError) return contact;
      if (!contact) return 'not to be found any more: hidden, deleted or withheld';
      if (contact === 'revoked') return 'revoked the key, and has published no other yet';
      const how = contact.isChecked ? 'compared with its owner' : 'not compared with its owner';
      return `version ${contact.version}, the identity that was met, ${how}`;
    });
  }
  return { checks, isSound: !isOfBefore && checks.every(({ verdict }) => verdict !== 'lie') };
}

/** @returns what was seen, and whether it is a lie, which is thrown, or to be asked about */
async function judge(
  look: () => Promise<string | IntegrityError>,
): Promise<[AuditCheck['verdict'], string | IntegrityError]> {
  try {
    const seen = await look();
    return [typeof seen === 'string' ? 'ok' : 'ask', seen];
  } catch (error) {
    if (error instanceof IntegrityError) return ['lie', error];
    throw error;
  }
}

function isCode(error: unknown, code: IntegrityCode): error is IntegrityError {
  return error instanceof IntegrityError && error.code === code;
}

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
