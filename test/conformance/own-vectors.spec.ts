/**
 * The vectors of docs/protocol/vectors, recomputed. `WRITE_VECTORS=1` fills in the outputs of new cases; an
 * output that is there is never changed. What is random when it is made is checked by opening it.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  appKeyIdentifier,
  compareSafetyCode,
  concat,
  decryptFloe,
  deriveAuthPW,
  deriveIdentity,
  deriveOldSyncKey,
  deriveRecordKey,
  deriveRecoveryKeyId,
  deriveScopedKey,
  deriveSubKey,
  deriveToken,
  deriveUnwrapBKey,
  deriveVerifyHash,
  deriveWrapwrapKey,
  type EncryptionPrivateJwk,
  encryptFloe,
  floeSize,
  formatRecoveryKey,
  fromHex,
  fromUtf8,
  type IdentityJwk,
  importPublicKey,
  openEnvelope,
  openRecord,
  privateBytes,
  publicHalf,
  quickStretch,
  quickStretchV2,
  safetyCode,
  safetyNumber,
  sealEnvelope,
  sealRecord,
  sha256,
  signLink,
  signRevocation,
  thumbprint,
  toBase64Url,
  toHex,
  type TokenKind,
  unwrapPrivateKey,
  utf8,
  verifySigned,
  wrapPrivateKey,
  writeRevocation,
} from '#lib/crypto';
import { paddedLength } from '#lib/client';
import { xWingPublicKey } from '../../libs/crypto/src/x-wing.ts';

type Input = Record<string, string>;
type Output = Record<string, unknown>;

interface Case {
  says: string;
  in: Input;
  out?: Output;
}

const folder = join(process.cwd(), 'docs/protocol/vectors');
const get = (input: Input, name: string): string => {
  const value = input[name];
  if (value === undefined) throw new TypeError(`The case lacks ${name}.`);
  return value;
};
const bytes = (input: Input, name: string) => fromHex(get(input, name));
const kBrOf = (input: Input) => ({ kid: get(input, 'kBr.kid'), k: bytes(input, 'kBr.k') });
const placeOf = (input: Input) => ({
  ...{ realm: get(input, 'realm'), uid: get(input, 'uid'), clientId: get(input, 'clientId') },
});
const privateOf = (input: Input): EncryptionPrivateJwk =>
  JSON.parse(get(input, 'privateJwk')) as EncryptionPrivateJwk;
const identityJwk = (x: string): IdentityJwk => ({ kty: 'OKP', crv: 'Ed25519', x });
const allHex = (parts: Record<string, Uint8Array>): Output =>
  Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, toHex(value)]));
// eslint-disable-next-line @typescript-eslint/require-await -- FLOE reads streams
async function* once(part: Uint8Array) {
  yield part;
}
async function collect(parts: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const all: Uint8Array[] = [];
  for await (const part of parts) all.push(part);
  return concat(...all);
}

/** How each file's outputs are computed. `known` is what the file says, for what is random when it is made. */
const computations: Record<string, (input: Input, known: Output) => Output | Promise<Output>> = {
  'onepw.json': async (input) => {
    const stretched = await quickStretch(get(input, 'email'), get(input, 'password'));
    const v2 = await quickStretchV2(get(input, 'clientSalt'), get(input, 'password'));
    return allHex({
      ...{ quickStretchedPW: stretched, authPW: deriveAuthPW(stretched) },
      unwrapBKey: deriveUnwrapBKey(stretched),
      ...{ 'v2.quickStretchedPW': v2, 'v2.authPW': deriveAuthPW(v2) },
      'v2.unwrapBKey': deriveUnwrapBKey(v2),
    });
  },
  'server-side.json': (input) => {
    const big = bytes(input, 'bigStretchedPW');
    return allHex({ verifyHash: deriveVerifyHash(big), wrapwrapKey: deriveWrapwrapKey(big) });
  },
  'tokens.json': (input) => {
    const { id, reqHMACkey, bundleKey } = deriveToken(
      bytes(input, 'token'),
      get(input, 'kind') as TokenKind,
    );
    return allHex({ id, reqHMACkey, bundleKey });
  },
  'recovery-key.json': (input) => {
    const of = { key: bytes(input, 'key'), uid: bytes(input, 'uid') };
    return { recoveryKeyId: deriveRecoveryKeyId(of), text: formatRecoveryKey(of.key) };
  },
  'kbr.json': async (input) => {
    const { kid, k } = deriveScopedKey({
      ...{ kB: bytes(input, 'kB'), uid: bytes(input, 'uid') },
      keyRotationSecret: bytes(input, 'keyRotationSecret'),
      keyRotationTimestamp: Number(get(input, 'keyRotationTimestamp')),
      identifier: appKeyIdentifier(get(input, 'clientId')),
    });
    const identity = await deriveIdentity(k);
    return {
      ...{ kid, k: toHex(k), wrap: toHex(deriveSubKey(k, 'wrap')) },
      ...{ identity: toHex(deriveSubKey(k, 'identity')), state: toHex(deriveSubKey(k, 'state')) },
      ...{ 'identity.x': identity.publicJwk.x, 'identity.kid': identity.kid },
    };
  },
  'oldsync.json': (input) => {
    const timestamp = Number(get(input, 'keysChangedAt'));
    const { kid, k } = deriveOldSyncKey(bytes(input, 'kB'), timestamp);
    return { kid, k: toHex(k) };
  },
  'x-wing.json': (input) => {
    const publicKey = xWingPublicKey(bytes(input, 'seed'));
    const pub = toBase64Url(publicKey);
    const kid = thumbprint({ kty: 'AKP', alg: 'HPKE-11-KE', pub });
    return { sha256: toHex(sha256(publicKey)), kid };
  },
  'signed.json': async (input) => {
    const identity = await deriveIdentity(bytes(input, 'kBr.k'));
    const typ = get(input, 'typ');
    const jws = await identity.sign(typ, JSON.parse(get(input, 'payload')) as object);
    await verifySigned(jws, identity.publicJwk, typ);
    return { jws, sha256: toBase64Url(sha256(utf8(jws))) };
  },
  'link.json': async (input) => {
    const old = await deriveIdentity(bytes(input, 'old.kBr.k'));
    const next = await deriveIdentity(bytes(input, 'new.kBr.k'));
    const change = { new: next.publicJwk.x, ver: Number(get(input, 'ver')) };
    return { ...(await signLink(old, placeOf(input), change)) };
  },
  'revocation.json': async (input) => {
    const identity = await deriveIdentity(bytes(input, 'kBr.k'));
    const revocation = await signRevocation(identity, placeOf(input), get(input, 'kid'));
    return { sig: revocation.sig, paper: writeRevocation(revocation) };
  },
  'wrapped-key.json': async (input, { jwe }) => {
    const privateJwk = privateOf(input);
    const context = { ...placeOf(input), kid: privateJwk.kid, version: Number(input['version']) };
    const kBr = kBrOf(input);
    const text = typeof jwe === 'string' ? jwe : await wrapPrivateKey({ privateJwk, kBr, context });
    expect(await unwrapPrivateKey(text, kBr, context)).toEqual(privateJwk);
    return { jwe: text, wsha: toBase64Url(sha256(utf8(text))) };
  },
  'envelope.json': async (input, { jwe }) => {
    const { realm, uid, clientId } = placeOf(input);
    const privateJwk = privateOf(input);
    const keyListVersion = Number(input['ver']);
    const recipient = { uid, publicJwk: importPublicKey(publicHalf(privateJwk)), keyListVersion };
    const plaintext = utf8(get(input, 'plaintext'));
    const text =
      typeof jwe === 'string'
        ? jwe
        : await sealEnvelope({ realm, clientId, plaintext, recipients: [recipient] });
    const reader = { privateJwk, uid, realm, clientId, keyListVersion };
    expect(fromUtf8(await openEnvelope(text, reader))).toBe(input['plaintext']);
    expect(privateBytes(privateJwk)).toHaveLength(32);
    return { jwe: text };
  },
  'record.json': async (input, { payload }) => {
    const [root, collection, id] = [get(input, 'root'), get(input, 'collection'), get(input, 'id')];
    const k = deriveRecordKey(bytes(input, 'kBr.k'), collection);
    const place = { root, collection, id, key: { id: get(input, 'kBr.kid'), k } };
    const plaintext = JSON.parse(get(input, 'plaintext')) as object;
    const text = typeof payload === 'string' ? payload : await sealRecord({ ...place, plaintext });
    expect(await openRecord(text, place)).toEqual(plaintext);
    return { recordKey: toHex(k), payload: text };
  },
  'floe.json': async (input, { ciphertext }) => {
    const options = { key: bytes(input, 'key'), aad: bytes(input, 'aad') };
    const segmentLength = Number(get(input, 'segmentLength'));
    const plaintext = bytes(input, 'plaintext');
    const sealed =
      typeof ciphertext === 'string'
        ? fromHex(ciphertext)
        : await collect(encryptFloe(once(plaintext), { ...options, segmentLength }));
    expect(toHex(await collect(decryptFloe(once(sealed), options)))).toBe(toHex(plaintext));
    expect(sealed).toHaveLength(floeSize(plaintext.length, segmentLength));
    return { ciphertext: toHex(sealed) };
  },
  'padding.json': (input) => ({ padded: paddedLength(Number(get(input, 'length'))) }),
  'safety-number.json': (input) => {
    const [realm, clientId] = [get(input, 'realm'), get(input, 'clientId')];
    const party = (who: string) => ({
      ...{ realm, clientId, uid: get(input, `${who}.uid`) },
      identity: identityJwk(get(input, `${who}.x`)),
    });
    const [own, other] = [party('own'), party('other')];
    const code = safetyCode(own, other);
    expect(compareSafetyCode(other, own, code)).toBe(true);
    return { number: safetyNumber(own, other), code };
  },
};

const read = (file: string) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Case[];

it('has a computation for each file of vectors', () => {
  const files = readdirSync(folder).filter((file) => file.endsWith('.json'));
  expect(files.sort()).toEqual(Object.keys(computations).sort());
});

describe.each(Object.keys(computations))('%s', (file) => {
  const compute = computations[file];
  const cases = read(file);
  it.each(cases)('$says', async (one) => {
    const out = await compute?.(one.in, one.out ?? {});
    if (one.out === undefined && process.env['WRITE_VECTORS'] === '1') {
      one.out = out ?? {};
      writeFileSync(join(folder, file), `${JSON.stringify(cases, null, 2)}\n`);
    }
    expect(out).toEqual(one.out);
  });
});
