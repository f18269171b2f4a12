import fc from 'fast-check';
import {
  deriveRecoveryKeyId,
  fromHex,
  generateRecoveryKey,
  openRecoveryData,
  sealRecoveryData,
  toHex,
  xor,
} from '#lib/crypto';
import { type Account, bearerOf, signUp } from '../support/account.ts';
import { get, post } from '../support/account-api.ts';
import { cases } from '../support/cases.ts';
import {
  changePassword,
  forget,
  signInForKeys,
  stretch,
  typedBearer,
} from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';

/**
 * Whatever is done to a password, in whatever order, a model of one line says which kB the account
 * has; and nothing that the server kept for an earlier password is ever there again.
 */

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

type Step = 'change' | 'login' | 'reset' | 'recover' | 'make recovery key';
const steps = fc.array(
  fc.constantFrom<Step>('change', 'login', 'reset', 'recover', 'make recovery key'),
  { minLength: 3, maxLength: 7 },
);

interface Stored {
  salt: string;
  hash: string;
  wrapping: string;
  keysChangedAt: number;
  generation: number;
}
const storedOf = async (uid: string): Promise<Stored> => {
  const [row] = await server.db.query<[Stored]>(
    `SELECT encode(auth_salt, 'hex') AS salt, encode(verify_hash, 'hex') AS hash,
            encode(wrap_wrap_kb, 'hex') AS wrapping, keys_changed_at AS "keysChangedAt",
            verifier_set_at AS generation FROM account WHERE uid = $1`,
    [uid],
  );
  return row;
};

/** One account, and what its owner knows of it. */
class Person {
  private recoveryKey: Uint8Array | undefined;
  private passwords = 0;

  constructor(public account: Account) {}

  static async make(): Promise<Person> {
    return new Person(await signUp(server));
  }

  async do(step: Step): Promise<void> {
    const { email } = this.account;
    const password = `password ${++this.passwords}`;
    switch (step) {
      case 'login':
        await this.enter(this.account.password);
        return;
      case 'change':
        await changePassword(server, this.account, password);
        break;
      case 'reset': {
        const { authPW } = await stretch(email, password);
        await this.reset({ authPW });
        this.recoveryKey = undefined;
        this.account = { ...this.account, kB: new Uint8Array() };
        break;
      }
      case 'recover': {
        if (!this.recoveryKey) return;
        const of = { key: this.recoveryKey, uid: fromHex(this.account.uid) };
        const recoveryKeyId = deriveRecoveryKeyId(of);
        const { authPW, unwrap } = await stretch(email, password);
        await this.reset(async (token) => {
          const path = `recoveryKey/${recoveryKeyId}`;
          const { body } = await get(server, path, token).expect(200);
          const kB = await openRecoveryData(of, body.recoveryData);
          return { authPW, recoveryKeyId, wrapKb: toHex(xor(kB, unwrap)) };
        });
        this.recoveryKey = undefined;
        break;
      }
      case 'make recovery key': {
        const of = { key: generateRecoveryKey(), uid: fromHex(this.account.uid) };
        const asked = {
          recoveryKeyId: deriveRecoveryKeyId(of),
          recoveryData: await sealRecoveryData(of, this.account.kB),
          replaceKey: true,
        };
        await post(server, 'recoveryKey', asked, this.account.authorization).expect(200);
        this.recoveryKey = of.key;
        return;
      }
    }
    await this.enter(password);
  }

  /** Signs in; the keys must be those that the owner expects. */
  private async enter(password: string): Promise<void> {
    const { kB, sessionToken } = await signInForKeys(server, this.account.email, password);
    if (this.account.kB.length > 0) expect(toHex(kB)).toBe(toHex(this.account.kB));
    const authorization = bearerOf(sessionToken);
    this.account = { ...this.account, password, sessionToken, authorization, kB };
  }

  private async reset(body: object | ((token: string) => Promise<object>)): Promise<void> {
    const token = typedBearer('accountResetToken', await forget(server, this.account));
    const asked = typeof body === 'function' ? await body(token) : body;
    await post(server, 'account/reset', asked, token).expect(200);
  }
}

it('keeps kB through changes and the recovery key, and no state ever comes back', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const person = await Person.make();
      const history = [await storedOf(person.account.uid)];
      const keys = new Set([toHex(person.account.kB)]);
      for (const step of sequence) {
        const before = history.at(-1) as Stored;
        const kB = toHex(person.account.kB);
        const hadKey = step !== 'recover' || (await hasRecoveryKey(person));
        await person.do(step);
        const after = await storedOf(person.account.uid);
        const isSet = step === 'change' || step === 'reset' || (step === 'recover' && hadKey);
        if (!isSet) {
          expect(after).toEqual(before);
          continue;
        }
        for (const old of history) {
          expect([after.salt, after.hash, after.wrapping]).not.toContain(old.salt);
          expect(after.hash).not.toBe(old.hash);
          expect(after.wrapping).not.toBe(old.wrapping);
          expect(after.generation).toBeGreaterThan(old.generation);
        }
        expect(after.keysChangedAt).toBeLessThanOrEqual(after.generation);
        if (step === 'reset') {
          expect(after.keysChangedAt).toBeGreaterThan(before.keysChangedAt);
          expect(keys).not.toContain(toHex(person.account.kB));
          keys.add(toHex(person.account.kB));
        } else {
          expect(after.keysChangedAt).toBe(before.keysChangedAt);
          expect(toHex(person.account.kB)).toBe(kB);
        }
        history.push(after);
      }
    }),
    cases(3, 30),
  );
}, 600_000);

async function hasRecoveryKey({ account }: Person): Promise<boolean> {
  const path = 'recoveryKey/exists';
  const { body } = await post(server, path, {}, account.authorization).expect(200);
  return body.exists as boolean;
}
