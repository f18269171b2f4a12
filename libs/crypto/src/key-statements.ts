/**
 * What an identity key signs beside lists: that another identity takes over, and that a key is not to be used
 * any more. Both are Ed25519 over text, which begins like no JWS does.
 *
 *     link       = "keyservice/v1/idk-link" LF realm LF uid LF clientId LF old kid LF new kid LF version
 *     revocation = "keyservice/v1/revoke" LF realm LF uid LF clientId LF kid
 *
 * @see keys.md §3.2; docs/protocol/formats.md §5
 * @module
 */
import { expectNone } from './checks.ts';
import { fromCrockford, toCrockford } from './crockford.ts';
import {
  concat,
  equalBytes,
  fromBase64Url,
  fromHex,
  fromUtf8,
  sha256,
  toBase64Url,
  toHex,
  utf8,
} from './encoding.ts';
import { type Identity, type IdentityJwk, verifyBytes } from './identity.ts';
import { CryptoRefusal } from './refusal.ts';
import { thumbprint } from './thumbprint.ts';

/** Whose keys are meant, in which app of which server. */
export interface KeyPlace {
  realm: string;
  uid: string;
  clientId: string;
}

/** One identity that took over from another, as a Signed Key List carries it. */
export interface IdentityLink {
  /** The first version that the new identity signed. */
  ver: number;
  /** `x` of the old identity. */
  old: string;
  /** `x` of the new identity. */
  new: string;
  /** base64url Ed25519 signature of the old identity, 64 bytes. */
  sig: string;
}

const joined = (fields: Record<string, string | number>): string => {
  expectNone('\n', fields);
  return Object.values(fields).join('\n');
};
const jwkOf = (x: string): IdentityJwk => ({ kty: 'OKP', crv: 'Ed25519', x });
const kidOf = (x: string) => thumbprint(jwkOf(x));

/** What the old identity signs. @throws RangeError when a field holds a line feed */
export function linkText(place: KeyPlace, link: Omit<IdentityLink, 'sig'>): string {
  const { realm, uid, clientId } = place;
  const [old, next] = [kidOf(link.old), kidOf(link.new)];
  const what = 'keyservice/v1/idk-link';
  return joined({ what, realm, uid, clientId, old, next, version: link.ver });
}

/**
 * Hands over to another identity.
 *
 * @param old - who signs, and is trusted until now
 * @param change - the `x` of the new identity, and the first version that it signs
 */
export async function signLink(
  old: Identity,
  place: KeyPlace,
  change: { new: string; ver: number },
): Promise<IdentityLink> {
  const link = { ver: change.ver, old: old.publicJwk.x, new: change.new };
  return { ...link, sig: await old.signText(linkText(place, link)) };
}

/** Tells whether the old identity of a link signed it, for this place. Malformed links are false. */
export function verifyLink(place: KeyPlace, link: IdentityLink): Promise<boolean> {
  return isSigned(link.old, link.sig, () => linkText(place, link));
}

/** What revokes a key without its owner: whoever has it can hand it in. */
export interface Revocation extends Omit<KeyPlace, 'realm'> {
  kid: string;
  /** base64url Ed25519 signature, 64 bytes. */
  sig: string;
}

/** What the identity signs. @throws RangeError when a field holds a line feed */
export function revocationText(place: KeyPlace, kid: string): string {
  const { realm, uid, clientId } = place;
  return joined({ what: 'keyservice/v1/revoke', realm, uid, clientId, kid });
}

/** Makes the revocation of one key, to be kept on paper and never used if all goes well. */
export async function signRevocation(
  identity: Identity,
  place: KeyPlace,
  kid: string,
): Promise<Revocation> {
  const { uid, clientId } = place;
  return { uid, clientId, kid, sig: await identity.signText(revocationText(place, kid)) };
}

/** Tells whether this identity revoked this key in this place. A malformed signature is false. */
export function verifyRevocation(
  identity: IdentityJwk,
  place: KeyPlace,
  { kid, sig }: Pick<Revocation, 'kid' | 'sig'>,
): Promise<boolean> {
  return isSigned(identity.x, sig, () => revocationText(place, kid));
}

async function isSigned(x: string, sig: string, text: () => string): Promise<boolean> {
  try {
    return await verifyBytes(jwkOf(x), utf8(text()), fromBase64Url(sig));
  } catch {
    return false;
  }
}

const REVOCATION_VERSION = 1;
const CHECKSUM_LENGTH = 4;
const FIXED_LENGTH = 1 + 16 + 32 + 64;

const checksum = (bytes: Uint8Array) => sha256(bytes).subarray(0, CHECKSUM_LENGTH);

/**
 * Spells a revocation for paper.
 *
 *     bytes = 0x01 | uid, 16 | kid, 32 | sig, 64 | clientId as UTF-8
 *     text  = Crockford's base32 of (bytes | SHA-256(bytes)[0..4)), in groups of five with hyphens
 *
 * @throws RangeError when a member is malformed
 */
export function writeRevocation({ uid, clientId, kid, sig }: Revocation): string {
  const parts = [fromHex(uid), fromBase64Url(kid), fromBase64Url(sig), utf8(clientId)];
  const bytes = concat(Uint8Array.of(REVOCATION_VERSION), ...parts);
  const text = toCrockford(concat(bytes, checksum(bytes)));
  return text.match(/.{1,5}/g)?.join('-') ?? '';
}

/**
 * Reads a revocation as people type it: case, spaces and hyphens do not matter, O is 0, I and L are 1.
 *
 * @throws CryptoRefusal `revocation-malformed` when it is no revocation, or a character is wrong
 */
export function readRevocation(text: string): Revocation {
  try {
    const all = fromCrockford(text);
    const bytes = all.subarray(0, -CHECKSUM_LENGTH);
    if (!equalBytes(checksum(bytes), all.subarray(-CHECKSUM_LENGTH))) {
      throw new RangeError('The checksum is another one.');
    }
    if (bytes[0] !== REVOCATION_VERSION || bytes.length <= FIXED_LENGTH) {
      throw new RangeError('It is of another version or length.');
    }
    return {
      uid: toHex(bytes.subarray(1, 17)),
      clientId: fromUtf8(bytes.subarray(FIXED_LENGTH)),
      kid: toBase64Url(bytes.subarray(17, 49)),
      sig: toBase64Url(bytes.subarray(49, FIXED_LENGTH)),
    };
  } catch (cause) {
    const detail = 'That is no revocation, or it was copied with a mistake.';
    throw new CryptoRefusal('revocation-malformed', detail, { cause });
  }
}
