import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
} from '@simplewebauthn/server';
import { decodeAttestationObject } from '@simplewebauthn/server/helpers';
import { DataSource, type EntityManager } from 'typeorm';
import { Failure, type GivePasskey, type Passkey, type RegisterPasskey } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';

/** Five minutes. */
const CHALLENGE_SECONDS = 300;
/** Of one account. */
const PASSKEYS_MAX = 10;

/** What a challenge is for. An answer to one is none to the other. */
type Purpose = 'register' | 'prove';

/** Whom a challenge is given to: a session or a token, by what the table knows it by. */
export interface Holder {
  id: string;
  uid: string;
}

interface Row {
  id: string;
  publicKey: Buffer;
  counter: number;
  transports: string[];
}

/**
 * Passkeys (WebAuthn level 3), as second factors only: the keys of an account come from its password,
 * which no passkey can stand for.
 */
@Injectable()
export class PasskeysService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** Begins a registration: options for the browser, with a challenge of this holder alone. */
  async startRegistration(holder: Holder, email: string) {
    const known = await this.rowsOf(holder.uid);
    if (known.length >= PASSKEYS_MAX) throw tooMany();
    return generateRegistrationOptions({
      ...{ rpName: 'Lockstep', rpID: this.config.publicUrl.hostname },
      ...{ userName: email, userDisplayName: email },
      userID: new Uint8Array(Buffer.from(holder.uid, 'hex')),
      challenge: await this.challenge(holder, 'register'),
      timeout: CHALLENGE_SECONDS * 1000,
      attestationType: 'none',
      excludeCredentials: known.map(described),
      // A key that is asked for by its id needs no room of its own in a stick.
      authenticatorSelection: { residentKey: 'discouraged', userVerification: 'preferred' },
    });
  }

  /**
   * Keeps a passkey, in the transaction that holds the account.
   *
   * @param expectedChallenge - of {@link PasskeysService.takeChallenge}
   * @throws Failure `invalid-passkey`, `passkey-exists`, `too-many-passkeys`
   */
  async register(
    tx: EntityManager,
    holder: Holder,
    { response, name }: RegisterPasskey,
    expectedChallenge: string,
  ): Promise<Passkey> {
    if (!isWithoutCertificates(response.response.attestationObject)) throw invalid();
    const { registrationInfo } = await verifyRegistrationResponse({
      response: { ...response, response: { ...response.response, transports: [] } },
      ...{ expectedChallenge, ...this.expected() },
      requireUserVerification: false,
    }).catch(() => ({ registrationInfo: undefined }));
    if (!registrationInfo) throw invalid();
    const { credential, credentialDeviceType } = registrationInfo;
    const now = this.clock.now();
    const isSynced = credentialDeviceType === 'multiDevice';
    if ((await this.rowsOf(holder.uid, tx)).length >= PASSKEYS_MAX) throw tooMany();
    const kept = await tx.query<unknown[]>(
      `INSERT INTO passkey (id, uid, public_key, counter, transports, is_synced, name, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING id`,
      [
        ...[credential.id, holder.uid, Buffer.from(credential.publicKey), credential.counter],
        ...[response.response.transports, isSynced, name, now],
      ],
    );
    if (kept.length === 0) throw new Failure('passkey-exists', 'This passkey is registered.');
    return {
      ...{ credentialId: credential.id, name, isSynced },
      ...{ createdAt: now.getTime(), lastUsedAt: null },
    };
  }

  /** Asks for a passkey: options for the browser. @throws Failure `no-factor` */
  async startProof(holder: Holder) {
    const known = await this.rowsOf(holder.uid);
    if (known.length === 0) throw new Failure('no-factor', 'There is no passkey.');
    return generateAuthenticationOptions({
      rpID: this.config.publicUrl.hostname,
      allowCredentials: known.map(described),
      challenge: await this.challenge(holder, 'prove'),
      timeout: CHALLENGE_SECONDS * 1000,
      userVerification: 'preferred',
    });
  }

  /**
   * Checks what a passkey signed. Its counter must rise, where it has one: one that does not is of a
   * copy; the statement that notes it decides between two.
   *
   * @param expectedChallenge - of {@link PasskeysService.takeChallenge}
   * @throws Failure `invalid-passkey`
   */
  async take(
    tx: EntityManager,
    holder: Holder,
    { response }: GivePasskey,
    expectedChallenge: string,
  ): Promise<void> {
    const row = (await this.rowsOf(holder.uid, tx)).find(({ id }) => id === response.id);
    if (!row) throw invalid();
    const { id, counter } = row;
    const { userHandle, ...answer } = response.response;
    const proof = await verifyAuthenticationResponse({
      response: {
        ...response,
        response: { ...answer, ...(userHandle !== undefined && { userHandle }) },
      },
      ...{ expectedChallenge, ...this.expected() },
      credential: { id, publicKey: new Uint8Array(row.publicKey), counter },
      requireUserVerification: false,
    }).catch(() => undefined);
    if (proof?.verified !== true) throw invalid();
    const { newCounter } = proof.authenticationInfo;
    const [noted] = await tx.query<[unknown[], number]>(
      `UPDATE passkey SET counter = $3, used_at = $4
        WHERE id = $1 AND uid = $2 AND (counter < $3 OR (counter = 0 AND $3 = 0)) RETURNING id`,
      [id, holder.uid, newCounter, this.clock.now()],
    );
    if (noted.length === 0) throw invalid();
  }

  /** Those of an account, the oldest first. */
  async list(uid: string): Promise<Passkey[]> {
    const rows = await this.db.query<
      { id: string; name: string; isSynced: boolean; createdAt: Date; usedAt: Date | null }[]
    >(
      `SELECT id, name, is_synced AS "isSynced", created_at AS "createdAt", used_at AS "usedAt"
         FROM passkey WHERE uid = $1 ORDER BY created_at, id`,
      [uid],
    );
    return rows.map(({ id, name, isSynced, createdAt, usedAt }) => ({
      ...{ credentialId: id, name, isSynced, createdAt: createdAt.getTime() },
      lastUsedAt: usedAt?.getTime() ?? null,
    }));
  }

  async count(uid: string): Promise<number> {
    return (await this.rowsOf(uid)).length;
  }

  /** @throws Failure `unknown-passkey` */
  async rename(uid: string, id: string, name: string): Promise<void> {
    const [, changed] = await this.db.query<[unknown[], number]>(
      `UPDATE passkey SET name = $3 WHERE id = $1 AND uid = $2`,
      [id, uid, name],
    );
    if (changed === 0) throw unknown();
  }

  /** @throws Failure `unknown-passkey` */
  async remove(tx: EntityManager, uid: string, id: string): Promise<void> {
    const [, gone] = await tx.query<[unknown[], number]>(
      `DELETE FROM passkey WHERE id = $1 AND uid = $2`,
      [id, uid],
    );
    if (gone === 0) throw unknown();
  }

  private expected() {
    const { origin, hostname } = this.config.publicUrl;
    return { expectedOrigin: origin, expectedRPID: hostname };
  }

  /** The newest of a holder is good alone. */
  private async challenge({ id, uid }: Holder, purpose: Purpose) {
    const challenge = randomBytes(32);
    const now = this.clock.now();
    await this.db.query(`DELETE FROM passkey_challenge WHERE expires_at <= $1`, [now]);
    await this.db.query(
      `INSERT INTO passkey_challenge (holder, purpose, uid, challenge, expires_at)
       VALUES ($1, $2, $3, $4, $5)
       ON CONFLICT (holder, purpose) DO UPDATE
         SET challenge = excluded.challenge, expires_at = excluded.expires_at`,
      [
        ...[id, purpose, uid, challenge.toString('base64url')],
        new Date(now.getTime() + CHALLENGE_SECONDS * 1000),
      ],
    );
    return new Uint8Array(challenge);
  }

  /**
   * Takes the challenge that is answered. Before the transaction, and not in it: also one that was
   * answered wrongly is used up; and who holds a connection must not wait for another, or ten who do
   * so hold up everybody.
   *
   * @throws Failure `no-passkey-challenge`
   */
  async takeChallenge({ id, uid }: Holder, purpose: Purpose): Promise<string> {
    const [rows] = await this.db.query<[{ challenge: string }[], number]>(
      `DELETE FROM passkey_challenge WHERE holder = $1 AND purpose = $2 AND uid = $3
          AND expires_at > $4 RETURNING challenge`,
      [id, purpose, uid, this.clock.now()],
    );
    const [taken] = rows;
    if (!taken) throw new Failure('no-passkey-challenge', 'Nothing was asked, or too long ago.');
    return taken.challenge;
  }

  private rowsOf(uid: string, tx: Pick<EntityManager, 'query'> = this.db): Promise<Row[]> {
    return tx.query<Row[]>(
      `SELECT id, public_key AS "publicKey", counter, transports FROM passkey WHERE uid = $1
        ORDER BY created_at, id`,
      [uid],
    );
  }
}

/**
 * Whether nobody but the passkey vouches for it, as was asked for. A certificate would have the library call the
 * address that it names for what was revoked, wherever that is: anybody can make one.
 */
function isWithoutCertificates(attestationObject: string): boolean {
  try {
    const attestation = decodeAttestationObject(
      new Uint8Array(Buffer.from(attestationObject, 'base64url')),
    );
    const format = attestation.get('fmt');
    const isOwn = format === 'packed' && attestation.get('attStmt').get('x5c') === undefined;
    return format === 'none' || isOwn;
  } catch {
    return false;
  }
}

const described = ({ id, transports }: Row) => ({ id, transports });

const invalid = () => new Failure('invalid-passkey', 'The passkey does not fit.');
const unknown = () => new Failure('unknown-passkey', 'The account has no such passkey.');
const tooMany = () => new Failure('too-many-passkeys', `${PASSKEYS_MAX} passkeys are enough.`);
