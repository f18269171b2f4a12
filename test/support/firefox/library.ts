import type { Firefox } from './firefox.ts';

/** A bookmark, in whatever folder. */
export interface Bookmark {
  title: string;
  url: string;
}

/** A saved password. */
export interface Login {
  origin: string;
  username: string;
  password: string;
}

/** What a person keeps in a Firefox. */
export class Library {
  constructor(private readonly firefox: Firefox) {}

  /** Adds a bookmark to "Other Bookmarks". */
  async addBookmark(bookmark: Bookmark): Promise<void> {
    await this.firefox.inside(
      `await places().bookmarks.insert({ parentGuid: places().bookmarks.unfiledGuid, title, url });`,
      { ...bookmark },
    );
  }

  /** Adds many, at once. */
  async addBookmarks(bookmarks: readonly Bookmark[]): Promise<void> {
    await this.firefox.inside(
      `const { bookmarks: store } = places();
       await store.insertTree({ guid: store.unfiledGuid, children: bookmarks });`,
      { bookmarks },
    );
  }

  /** Every bookmark of this address. */
  bookmarks(url: string): Promise<Bookmark[]> {
    return this.firefox.inside(
      `const found = [];
       await places().bookmarks.fetch({ url }, ({ title, url }) => found.push({ title, url: url.href }));
       return found;`,
      { url },
    );
  }

  async removeBookmarks(...urls: readonly string[]): Promise<void> {
    await this.firefox.inside(
      `const { bookmarks: store } = places();
       const found = await Promise.all(urls.map((url) => store.fetch({ url })));
       await store.remove(found.map(({ guid }) => ({ guid })));`,
      { urls },
    );
  }

  async saveLogin(login: Login): Promise<void> {
    await this.firefox.inside(
      `const info = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
       info.init(origin, origin, null, username, password, '', '');
       await Services.logins.addLoginAsync(info);`,
      { ...login },
    );
  }

  /** Every password saved for this origin. */
  logins(origin: string): Promise<Login[]> {
    return this.firefox.inside(
      `const found = await Services.logins.searchLoginsAsync({ origin });
       return found.map(({ origin, username, password }) => ({ origin, username, password }));`,
      { origin },
    );
  }

  async forgetLogins(origin: string): Promise<void> {
    await this.firefox.inside(
      `for (const login of await Services.logins.searchLoginsAsync({ origin })) {
         if (Services.logins.removeLoginAsync) await Services.logins.removeLoginAsync(login);
         else Services.logins.removeLogin(login); // 140
       }`,
      { origin },
    );
  }

  /** Notes in the history that an address was visited now. */
  async visit(url: string, title: string): Promise<void> {
    await this.firefox.inside(
      `await places().history.insert({ url, title, visits: [{ date: new Date() }] });`,
      { url, title },
    );
  }

  /** How often the history says that an address was visited. */
  visits(url: string): Promise<number> {
    return this.firefox.inside(
      `const page = await places().history.fetch(url, { includeVisits: true });
       return page ? page.visits.length : 0;`,
      { url },
    );
  }

  async forgetVisits(url: string): Promise<void> {
    await this.firefox.inside(`await places().history.remove(url);`, { url });
  }

  /** Resolves when a tab shows this address. */
  async seeTab(url: string): Promise<void> {
    await this.firefox.inside(
      `await until(['browser-delayed-startup-finished', 'fxaccounts:commands:open-uri'], () =>
         [...Services.wm.getEnumerator('navigator:browser')].some((window) =>
           window.gBrowser.browsers.some(({ currentURI }) => currentURI.spec === url)));`,
      { url },
    );
  }
}
