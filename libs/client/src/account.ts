import {
  deriveAuthPW,
  deriveToken,
  deriveUnwrapBKey,
  fromHex,
  openKeysBundle,
  quickStretch,
  toHex,
  xor,
} from '#lib/crypto';
import {
  type CreateAccount,
  EmailStatus,
  Factors,
  type GiveBackupCode,
  type GiveTotp,
  KeysBundle,
  type Login,
  ScopedKeyDataByScope,
  SignedIn,
} from '#lib/protocol';
import { isSameAddress } from './address.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { hawk } from './hawk.ts';
import type { Ask } from './http.ts';
import { deriveScopedKeys, type ScopedKey } from './scoped-keys.ts';
import type { Server } from './server.ts';

/** What a person types. */
export interface Credentials {
  email: string;
  password: string;
}

/** The account's master keys, 32 bytes each. They never leave the device. */
export interface MasterKeys {
  kA: Uint8Array;
  kB: Uint8Array;
}

/**
 * One person's account, on the device where the password was typed. The password and kB stay in this object;
 * the server gets `authPW`, a value that neither can be computed from.
 *
 * @see onepw protocol; docs/protocol/accounts.md
 */
export class Account {
  readonly uid: string;
  /** As the account was created with. */
  readonly email: string;
  readonly #server: Server;
  readonly #sessionToken: Uint8Array;
  readonly #unwrapBKey: Uint8Array;
  readonly #keyFetchToken: Uint8Array | undefined;
  #keys: MasterKeys | undefined;
  #awaitsFactor: boolean;

  private constructor(server: Server, email: string, answer: SignedIn, unwrapBKey: Uint8Array) {
    this.#server = server;
    this.email = email;
    this.uid = answer.uid;
    this.#sessionToken = fromHex(answer.sessionToken);
    this.#keyFetchToken = answer.keyFetchToken ? fromHex(answer.keyFetchToken) : undefined;
    this.#unwrapBKey = unwrapBKey;
    this.#awaitsFactor = answer.verificationMethod === 'totp-2fa';
  }

  /**
   * Makes an account. Without an invitation, a code is mailed to the address.
   *
   * @throws ClientError `errno-101` when the address has an account, `errno-202` when sign-up is closed
   */
  static async signUp(
    server: Server,
    { email, password, invitation }: Credentials & { invitation?: string | undefined },
  ): Promise<Account> {
    const { authPW, unwrapBKey } = await stretch(email, password);
    const json: CreateAccount = { email, authPW, ...(invitation !== undefined && { invitation }) };
    const ask: Ask = { method: 'POST', url: '/auth/v1/account/create?keys=true', json };
    return new Account(server, email, await server.http.json(ask, SignedIn), unwrapBKey);
  }

  /**
   * Signs in. An address spelled otherwise than at sign-up is stretched again, once, with the spelling that
   * the server tells, since the key depends on it. With {@link Account.awaitsFactor} nothing opens before
   * {@link Account.secondFactor}.
   *
   * @throws ClientError `errno-103` for a wrong password, and for an address that nobody has
   */
  static async signIn(server: Server, { email, password }: Credentials): Promise<Account> {
    const login = async (spelling: string) => {
      const { authPW, unwrapBKey } = await stretch(spelling, password);
      const json: Login = {
        email: spelling,
        authPW,
        ...(spelling !== email && { originalLoginEmail: email }),
      };
      const ask: Ask = { method: 'POST', url: '/auth/v1/account/login?keys=true', json };
      return new Account(server, spelling, await server.http.json(ask, SignedIn), unwrapBKey);
    };
    try {
      return await login(email);
    } catch (error) {
      const spelling = error instanceof ClientError ? error.extra['email'] : undefined;
      const isCase = error instanceof ClientError && error.code === 'errno-120';
      if (!isCase || typeof spelling !== 'string' || !isSameAddress(spelling, email)) throw error;
      return login(spelling);
    }
  }

  /** Gives the code from the mail. @throws ClientError `errno-105` when it is wrong or too old */
  static async verify(server: Server, uid: string, code: string): Promise<void> {
    const json = { uid, code };
    await server.http.run({ method: 'POST', url: '/auth/v1/recovery_email/verify_code', json });
  }

  /** Gives the code from the mail. @throws ClientError `errno-105` when it is wrong or too old */
  verify(code: string): Promise<void> {
    return Account.verify(this.#server, this.uid, code);
  }

  /** Whether a second factor is to be given: until then the server refuses all else (`errno-138`). */
  get awaitsFactor(): boolean {
    return this.#awaitsFactor;
  }

  /** What the account has as second factors; passkeys work in a browser alone. */
  factors(): Promise<Factors> {
    return this.#server.http.json(this.signed({ url: '/auth/v1/factors' }), Factors);
  }

  /**
   * Gives the second factor.
   *
   * @param typed - six digits of the authenticator, or a backup code, however it is spelled
   * @throws ClientError `errno-183` when digits are wrong or were used, `errno-156` when a backup code
   *   is, `errno-155` when there is no authenticator, `errno-114` after too many wrong ones
   */
  async secondFactor(typed: string): Promise<void> {
    const code = typed.replaceAll(/[\s-]/g, '');
    const json: GiveTotp | GiveBackupCode = { code };
    const kind = /^\d{6}$/.test(code) ? 'totp' : 'recoveryCode';
    const url = `/auth/v1/session/verify/${kind}`;
    await this.#server.http.run(this.signed({ method: 'POST', url, json }));
    this.#awaitsFactor = false;
  }

  /** Tells whether the address is verified, and the second factor given where there is one. */
  async isVerified(): Promise<boolean> {
    const ask = this.signed({ url: '/auth/v1/recovery_email/status' });
    return (await this.#server.http.json(ask, EmailStatus)).verified;
  }

  /** Ends the session on the server, and with it what was granted to apps in it. */
  signOut(): Promise<void> {
    return Account.endSession(this.#server, this.sessionToken);
  }

  /**
   * Ends a session that was kept, for devices that keep nothing else of the account.
   *
   * @param sessionToken - 64 hex digits
   */
  static async endSession(server: Server, sessionToken: string): Promise<void> {
    const ask: Ask = { method: 'POST', url: '/auth/v1/session/destroy', json: {} };
    await server.http.run(withSession(ask, fromHex(sessionToken)));
  }

  /** 64 hex digits. It allows everything but opening data, and is to be kept as secret. */
  get sessionToken(): string {
    return toHex(this.#sessionToken);
  }

  /**
   * Fetches the account's keys, once; they are remembered.
   *
   *     kB = wrapKb XOR unwrapBKey
   *
   * @throws ClientError `errno-104` while the address is not verified, `errno-138` before the second factor
   * @throws IntegrityError `KEYS_REPLACED` when they were altered on their way
   */
  async fetchKeys(): Promise<MasterKeys> {
    if (this.#keys) return this.#keys;
    if (!this.#keyFetchToken) throw new TypeError('The server gave no keyFetchToken.');
    const { id, reqHMACkey, bundleKey } = deriveToken(this.#keyFetchToken, 'keyFetchToken');
    const authorization = hawk({ id: toHex(id), key: reqHMACkey }, { signsPayload: true });
    const ask: Ask = { url: '/auth/v1/account/keys', authorization, retry: false };
    const { bundle } = await this.#server.http.json(ask, KeysBundle);
    try {
      const { kA, wrapKb } = openKeysBundle(bundleKey, fromHex(bundle));
      this.#keys = { kA, kB: xor(wrapKb, this.#unwrapBKey) };
      return this.#keys;
    } catch (cause) {
      throw new IntegrityError('KEYS_REPLACED', 'The account’s keys were altered.', { cause });
    }
  }

  /**
   * Derives the keys that an app may have for these scopes, by scope. An app gets its own kBr and, with
   * Firefox's scope, the Sync key; whatever else the server names is refused.
   *
   * @throws IntegrityError `KEYS_REPLACED` when the server names the key of another app
   */
  async scopedKeys(clientId: string, scope: string): Promise<Record<string, ScopedKey>> {
    const { kB } = await this.fetchKeys();
    const data = await this.#server.http.json(
      this.signed({
        method: 'POST',
        url: '/auth/v1/account/scoped-key-data',
        json: { client_id: clientId, scope },
      }),
      ScopedKeyDataByScope,
    );
    return deriveScopedKeys({ kB, uid: this.uid }, { clientId, asked: scope }, data);
  }

  /** Adds the session's signature to a request. */
  signed(ask: Ask): Ask {
    return withSession(ask, this.#sessionToken);
  }

  /** @internal For the authorization of an app. */
  get server(): Server {
    return this.#server;
  }
}

async function stretch(email: string, password: string) {
  const stretched = await quickStretch(email, password);
  return { authPW: toHex(deriveAuthPW(stretched)), unwrapBKey: deriveUnwrapBKey(stretched) };
}

function withSession(ask: Ask, sessionToken: Uint8Array): Ask {
  const { id, reqHMACkey } = deriveToken(sessionToken, 'sessionToken');
  return {
    ...ask,
    authorization: hawk({ id: toHex(id), key: reqHMACkey }, { signsPayload: true }),
  };
}
