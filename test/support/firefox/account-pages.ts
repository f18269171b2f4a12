import type { Firefox } from './firefox.ts';

/** Whoever sits in front of it. */
export interface Person {
  email: string;
  password: string;
}

/** Finds the newest code that was mailed to an address. */
export type Mailbox = (email: string) => Promise<string>;

/** What the pages of a server of ours show when something did not work. */
const PROBLEM = '[role=alert].problem';

/** Our pages in the current tab of a Firefox, filled in as a person does. */
export class AccountPages {
  /** @param root - origin of the server */
  constructor(
    private readonly firefox: Firefox,
    private readonly root: string,
    private readonly mailedCode: Mailbox,
  ) {}

  /** @param page - the one that Firefox opens to be signed in */
  async signUp(page: string, person: Person): Promise<void> {
    await this.enter(page, '#signup', person);
    if ((await this.arrive('confirm', 'connected')) === 'confirm') {
      await this.firefox.type('#code', await this.mailedCode(person.email));
      await this.firefox.click('#confirm');
      await this.arrive('connected');
    }
  }

  /** @param page - the one that Firefox opens to be signed in */
  async signIn(page: string, person: Person): Promise<void> {
    await this.enter(page, '#signin', person);
    await this.arrive('connected');
  }

  /** From the settings, by the old password. */
  async changePassword(from: string, to: string): Promise<void> {
    await this.firefox.open(`${this.root}/settings/password`);
    await this.firefox.type('#password', from);
    await this.firefox.type('#new-password', to);
    await this.firefox.click('#save-password');
    await this.noProblem('[role=status].note');
  }

  /** @returns the recovery key, as it is shown */
  async makeRecoveryKey(password: string): Promise<string> {
    await this.firefox.open(`${this.root}/settings/recovery_key`);
    await this.firefox.type('#password', password);
    await this.firefox.click('#make-key');
    const key = (await this.noProblem('[data-key]')).trim();
    await this.firefox.type('#last-group', key.slice(-4));
    await this.firefox.click('#keep-key');
    await this.arrive('recovery-key-stored');
    return key;
  }

  /**
   * For who forgot the password.
   *
   * @param person - with the password that is to be
   * @param recoveryKey - without it, what was encrypted is lost
   */
  async resetPassword({ email, password }: Person, recoveryKey?: string): Promise<void> {
    await this.firefox.open(`${this.root}/reset_password`);
    await this.firefox.type('#email', email);
    await this.firefox.click('#send-code');
    await this.arrive('reset-code');
    await this.firefox.type('#code', await this.mailedCode(email));
    await this.firefox.click('#give-code');
    await this.arrive('reset-password');
    if (recoveryKey === undefined) await this.firefox.click('#knows-loss');
    else await this.firefox.type('#recovery-key', recoveryKey);
    await this.firefox.type('#new-password', password);
    await this.firefox.click('#set-password');
    await this.noProblem('main:not([data-page=reset-password])');
  }

  /** The end of the account. */
  async remove(password: string): Promise<void> {
    await this.firefox.open(`${this.root}/settings/delete`);
    await this.firefox.type('#password', password);
    await this.firefox.click('#sure');
    await this.firefox.click('#delete');
    await this.noProblem('[data-page=deleted]');
  }

  private async enter(page: string, button: string, { email, password }: Person): Promise<void> {
    await this.firefox.open(page);
    await this.firefox.type('#email', email);
    await this.firefox.type('#password', password);
    await this.firefox.click(button);
  }

  /** Waits for one of these pages. @throws Error when another one ends the way, or says what is wrong */
  private async arrive(...pages: readonly string[]): Promise<string> {
    const ends = [...pages, 'refused'].map((name) => `[data-page=${name}]`).join(', ');
    await this.noProblem(ends);
    const page = await this.firefox.inPage<string>(
      `return document.querySelector('[data-page]').dataset.page;`,
    );
    if (!pages.includes(page)) throw new Error(`The page says: ${await this.firefox.see('main')}`);
    return page;
  }

  /** Waits for what a selector finds, and returns its text. @throws Error with what the page says is wrong */
  private async noProblem(selector: string): Promise<string> {
    const text = await this.firefox.see(`${PROBLEM}, ${selector}`);
    const isProblem = await this.firefox.inPage<boolean>(
      `return document.querySelector(problem) !== null;`,
      { problem: PROBLEM },
    );
    if (isProblem) throw new Error(`The page says: ${text}`);
    return text;
  }
}
