/**
 * One plaintext for one or many recipients: a JWE in General JSON form.
 *
 * | member | value |
 * | --- | --- |
 * | `protected` | {enc: "A256GCM", typ: "ks-env+jwe", cty?, cc} |
 * | `cc` | b64url(HMAC-SHA256(CEK, "ks/v1/cek-commit")): one CEK, hence one plaintext, for everybody |
 * | `recipients[i].header` | {alg: "HPKE-4-KE" or "HPKE-11-KE", kid, ek, ver}; one alg for all |
 * | recipient_extra_info | "keyservice/v1/env" LF realm LF clientId LF uid LF kid LF ver LF |
 *
 * `ver` is the version of the recipient's key list that the sender saw. The header is not signed, but all of it
 * is bound: a changed kid, ek or ver makes the key fail to open.
 *
 * @see keys.md §3.9; RFC 7516 §7.2.1; draft-ietf-jose-hpke-encrypt
 * @module
 */
import { expectNone, isObject } from './checks.ts';
import { equalBytes, fromBase64Url, fromUtf8, randomBytes, toBase64Url, utf8 } from './encoding.ts';
import {
  importPublicKey,
  type EncryptionPrivateJwk,
  type EncryptionPublicJwk,
} from './encryption-key.ts';
import { hmacSha256 } from './hmac.ts';
import { openContent, openContentKey, sealContent, sealContentKey } from './jose-hpke.ts';
import { CryptoRefusal, type RefusalCode } from './refusal.ts';

/** Somebody to encrypt to. */
export interface EnvelopeRecipient {
  uid: string;
  publicJwk: EncryptionPublicJwk;
  /** The version of the recipient's Signed Key List that holds the key. */
  keyListVersion: number;
}

/** What goes into an envelope. */
export interface EnvelopeToSeal {
  plaintext: Uint8Array;
  recipients: readonly EnvelopeRecipient[];
  realm: string;
  clientId: string;
  /** The plaintext's media type, such as "ks-share+jws". */
  cty?: string | undefined;
}

/** Who opens an envelope. */
export interface EnvelopeReader {
  privateJwk: EncryptionPrivateJwk;
  uid: string;
  realm: string;
  clientId: string;
  /** The version of the reader's own key list the sender must have used; see `readRecipients`. */
  keyListVersion: number;
}

const TYP = 'ks-env+jwe';
const ENC = 'A256GCM';
const ALGORITHMS: readonly unknown[] = ['HPKE-4-KE', 'HPKE-11-KE'];

const commitment = (cek: Uint8Array) => hmacSha256(cek, utf8('ks/v1/cek-commit'));

function extraInfo(place: {
  realm: string;
  clientId: string;
  uid: string;
  kid: string;
  ver: number;
}): Uint8Array {
  const { realm, clientId, uid, kid, ver } = place;
  expectNone('\n', place);
  return utf8(['keyservice/v1/env', realm, clientId, uid, kid, ver, ''].join('\n'));
}

/**
 * Seals a plaintext to its recipients.
 *
 * @returns JWE General JSON as text; about 210 bytes for each recipient beside the content
 * @throws RangeError when there is no recipient, one key appears twice, two are of different algorithms, or a
 * field holds a line feed
 * @throws CryptoRefusal `key-invalid` when a recipient's key is not usable
 */
export async function sealEnvelope(input: EnvelopeToSeal): Promise<string> {
  const { plaintext, realm, clientId, cty } = input;
  const kids = new Set(input.recipients.map(({ publicJwk }) => publicJwk.kid));
  if (kids.size === 0) throw new RangeError('An envelope needs a recipient.');
  if (kids.size !== input.recipients.length) throw new RangeError('A recipient appears twice.');
  // What goes to the weakest key is as weak for everybody.
  if (new Set(input.recipients.map(({ publicJwk }) => publicJwk.alg)).size > 1) {
    throw new RangeError('The recipients’ keys are of two algorithms.');
  }
  const cek = randomBytes(32);
  const cc = toBase64Url(commitment(cek));
  const recipients = await Promise.all(
    input.recipients.map(async ({ uid, publicJwk, keyListVersion: ver }) => {
      const key = importPublicKey(publicJwk);
      const { alg, kid } = key;
      const info = extraInfo({ realm, clientId, uid, kid, ver });
      const to = { publicJwk: key, extraInfo: info };
      const { ek, encryptedKey } = await sealContentKey(cek, to);
      return { header: { alg, kid, ek, ver }, encrypted_key: encryptedKey };
    }),
  );
  const header = JSON.stringify({ enc: ENC, typ: TYP, ...(cty !== undefined && { cty }), cc });
  const content = await sealContent(cek, toBase64Url(utf8(header)), plaintext);
  return JSON.stringify({ ...content, recipients });
}

interface Recipient {
  alg: unknown;
  kid: string;
  ek: string;
  ver: number;
  encryptedKey: string;
}

interface Envelope {
  protected: string;
  cc: Uint8Array;
  recipients: Recipient[];
  iv: string;
  ciphertext: string;
  tag: string;
}

function readRecipient(value: unknown): Recipient {
  const header = isObject(value) ? value['header'] : undefined;
  if (!isObject(value) || !isObject(header)) throw new TypeError('A recipient is malformed.');
  const { alg, kid, ek, ver, ...others } = header;
  if (!ALGORITHMS.includes(alg) || Object.keys(others).length > 0) {
    throw new TypeError('A recipient uses another algorithm or unknown parameters.');
  }
  const encryptedKey = value['encrypted_key'];
  if (typeof kid !== 'string' || typeof ek !== 'string' || typeof encryptedKey !== 'string') {
    throw new TypeError('A recipient lacks a member.');
  }
  if (typeof ver !== 'number') throw new TypeError('A recipient lacks its key list version.');
  return { alg, kid, ek, ver, encryptedKey };
}

function readEnvelope(jwe: string): Envelope {
  const value: unknown = JSON.parse(jwe);
  if (!isObject(value)) throw new TypeError('It is not a JSON object.');
  const { protected: encoded, iv, ciphertext, tag, recipients, ...others } = value;
  if (Object.keys(others).length > 0) throw new TypeError('It has unknown members.');
  if (typeof encoded !== 'string' || typeof iv !== 'string' || typeof tag !== 'string') {
    throw new TypeError('It lacks a member.');
  }
  if (typeof ciphertext !== 'string' || !Array.isArray(recipients)) {
    throw new TypeError('It lacks a member.');
  }
  const header: unknown = JSON.parse(fromUtf8(fromBase64Url(encoded)));
  if (!isObject(header)) throw new TypeError('The header is not an object.');
  const { enc, typ, cty, cc, ...unknown } = header;
  if (enc !== ENC || typ !== TYP || Object.keys(unknown).length > 0) {
    throw new TypeError('The header is of another type or has unknown parameters.');
  }
  if (typeof cc !== 'string' || !['string', 'undefined'].includes(typeof cty)) {
    throw new TypeError('The header lacks its commitment.');
  }
  return {
    ...{ protected: encoded, iv, ciphertext, tag },
    cc: fromBase64Url(cc),
    recipients: recipients.map(readRecipient),
  };
}

async function orRefuse<T>(
  code: RefusalCode,
  message: string,
  action: () => T | Promise<T>,
): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new CryptoRefusal(code, message, { cause });
  }
}

/**
 * Reads to which keys an envelope is addressed, and which version of each reader's key list the sender saw.
 * Nothing is authenticated; compare the version with the reader's own history, then pass it to `openEnvelope`.
 *
 * @throws CryptoRefusal `envelope-forged` when the envelope is malformed
 */
export function readRecipients(jwe: string): { kid: string; keyListVersion: number }[] {
  try {
    const { recipients } = readEnvelope(jwe);
    return recipients.map(({ kid, ver }) => ({ kid, keyListVersion: ver }));
  } catch (cause) {
    throw new CryptoRefusal('envelope-forged', 'The envelope is malformed.', { cause });
  }
}

/**
 * Opens an envelope for one reader. The context is the reader's own; the commitment is checked before the
 * content key is used.
 *
 * @param jwe - JWE General JSON as text
 * @returns the plaintext
 * @throws CryptoRefusal `not-a-recipient` when it is not addressed to this key, `commitment-mismatch` when the
 * sender gave this reader another content key, `envelope-forged` when it is malformed, was sealed for another
 * context, or does not authenticate
 */
export async function openEnvelope(jwe: string, reader: EnvelopeReader): Promise<Uint8Array> {
  const { realm, clientId, uid, keyListVersion: ver } = reader;
  const { privateJwk } = reader;
  const { kid } = privateJwk;
  const info = extraInfo({ realm, clientId, uid, kid, ver });
  const forged = 'envelope-forged';
  const envelope = await orRefuse(forged, 'The envelope is malformed.', () => readEnvelope(jwe));
  const mine = envelope.recipients.filter((recipient) => recipient.kid === kid);
  const [entry] = mine;
  if (!entry) throw new CryptoRefusal('not-a-recipient', 'The envelope is for other keys.');
  if (mine.length > 1) throw new CryptoRefusal(forged, 'The envelope names one key twice.');
  if (envelope.recipients.some(({ alg }) => alg !== privateJwk.alg)) {
    throw new CryptoRefusal(forged, 'The envelope is of another algorithm, or of two.');
  }
  const cek = await orRefuse(forged, 'The content key was sealed for another context.', () =>
    openContentKey(entry, { privateJwk, extraInfo: info }),
  );
  if (cek.length !== 32 || !equalBytes(commitment(cek), envelope.cc)) {
    throw new CryptoRefusal('commitment-mismatch', 'The content key is not the committed one.');
  }
  return orRefuse(forged, 'The content does not authenticate.', () => openContent(cek, envelope));
}
