import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, realpathSync, watch } from 'node:fs';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Marionette, MarionetteError } from './marionette.ts';
import { type Preferences, quiet, userJs } from './preferences.ts';

/** For a machine whose processors are busy with something else. */
const PATIENCE_MS = 120_000;
const SETPRIV = '/usr/bin/setpriv';
/** What WebDriver says of an element that is no longer in the page. */
const GONE = ['stale element reference', 'no such element'];
const PORT_FILE = 'MarionetteActivePort';

/** Available to scripts in the browser itself; `resource:` addresses are those of 140 and 153. */
const PRELUDE = `
  const load = (address) => ChromeUtils.importESModule(address);
  const fxAccounts = () => load('resource://gre/modules/FxAccounts.sys.mjs').getFxAccountsSingleton();
  const weave = () => load('resource://services-sync/main.sys.mjs').Weave;
  const places = () => load('resource://gre/modules/PlacesUtils.sys.mjs').PlacesUtils;
  /** Waits until it is so; looks whenever one of the topics is notified, and now and then besides. */
  const until = async (topics, isSo) => {
    let look;
    const observer = { observe: () => look?.() };
    const timer = Cc['@mozilla.org/timer;1'].createInstance(Ci.nsITimer);
    timer.initWithCallback({ notify: () => look?.() }, 250, Ci.nsITimer.TYPE_REPEATING_SLACK);
    for (const topic of topics) Services.obs.addObserver(observer, topic);
    try {
      for (;;) {
        const looked = new Promise((again) => { look = again; });
        const found = await isSo();
        if (found) return found;
        await looked;
      }
    } finally {
      timer.cancel();
      for (const topic of topics) Services.obs.removeObserver(observer, topic);
    }
  };
`;

/** What scripts are given, by name; JSON. */
export type Given = Readonly<Record<string, unknown>>;

/** Where the Firefox is that tests drive: FIREFOX_BIN, otherwise Debian's; undefined when it is not there. */
export function findFirefox(): string | undefined {
  const path = process.env['FIREFOX_BIN'] ?? '/usr/bin/firefox-esr';
  return existsSync(path) ? path : undefined;
}

/** Its major version; undefined where there is none, or a script that starts it from elsewhere. */
export function firefoxVersion(): number | undefined {
  const path = findFirefox();
  if (path === undefined) return undefined;
  const file = join(dirname(realpathSync(path)), 'application.ini');
  if (!existsSync(file)) return undefined;
  const version = /^Version=(\d+)/m.exec(readFileSync(file, 'utf8'))?.[1];
  return version === undefined ? undefined : Number(version);
}

/** An unmodified Firefox without a window, with a new profile and a home folder of its own. */
export class Firefox {
  private static readonly running = new Set<Firefox>();
  private context: 'chrome' | 'content' | undefined;

  private constructor(
    private readonly folder: string,
    private readonly process: ChildProcess,
    private readonly ended: Promise<void>,
    private readonly marionette: Marionette,
  ) {
    Firefox.running.add(this);
  }

  /**
   * Starts it, and resolves when it takes commands.
   *
   * @param preferences - over those that keep it quiet
   * @param binary - defaults to {@link findFirefox}
   * @throws Error with its last words when it ends instead
   */
  static async launch(preferences: Preferences, binary = findFirefox()): Promise<Firefox> {
    if (binary === undefined) throw new Error('There is no Firefox here.');
    const folder = await mkdtemp(join(tmpdir(), 'lockstep-firefox-'));
    const profile = join(folder, 'profile');
    await mkdir(profile);
    await writeFile(join(profile, 'user.js'), userJs({ ...quiet, ...preferences }));
    const output = await open(join(folder, 'output.log'), 'a');
    // Scripts in the browser itself need the third switch since 138.
    const switches = ['--headless', '--marionette', '--remote-allow-system-access'];
    const command = [binary, ...switches, '--no-remote', '--new-instance', '--profile', profile];
    // Whoever kills this process leaves no browser behind.
    if (existsSync(SETPRIV)) command.unshift(SETPRIV, '--pdeathsig', 'KILL');
    const [program = '', ...rest] = command;
    const child = spawn(program, [...rest, 'about:blank'], {
      // Root may only run it in a home folder that is root's.
      env: {
        ...{ PATH: process.env['PATH'], LANG: 'C.UTF-8', USER: 'person', HOME: folder },
        ...{ XDG_RUNTIME_DIR: folder, TMPDIR: folder, MOZ_CRASHREPORTER_DISABLE: '1' },
      },
      stdio: ['ignore', output.fd, output.fd],
    });
    const ended = new Promise<void>((done) => {
      child.once('close', () => {
        done();
      });
      child.once('error', () => {
        done();
      });
    });
    await output.close();
    try {
      const marionette = await Marionette.connect(await portOf(profile, ended));
      const firefox = new Firefox(folder, child, ended, marionette);
      await marionette.send('WebDriver:NewSession', {});
      const timeouts = { script: PATIENCE_MS, pageLoad: PATIENCE_MS, implicit: 0 };
      await marionette.send('WebDriver:SetTimeouts', timeouts);
      return firefox;
    } catch (error) {
      child.kill('SIGKILL');
      await ended;
      const words = await readFile(join(folder, 'output.log'), 'utf8');
      await rm(folder, { recursive: true, force: true });
      throw new Error(`Firefox did not start. ${words.slice(-2000)}`, { cause: error });
    }
  }

  /** Ends those that still run. */
  static async killAll(): Promise<void> {
    await Promise.all([...Firefox.running].map((firefox) => firefox.kill()));
  }

  /**
   * Runs a script in the browser itself, with all that its own code may do.
   *
   * @param script - body of an async function; what is `given` are its variables
   * @returns what it returns, by way of JSON
   * @throws Error what it throws
   */
  async inside<T>(script: string, given: Given = {}): Promise<T> {
    return this.run<T>('chrome', `${PRELUDE}\n${script}`, given);
  }

  /** Like {@link inside}, in the page of the current tab. */
  async inPage<T>(script: string, given: Given = {}): Promise<T> {
    return this.run<T>('content', script, given);
  }

  /** Opens an address in the current tab, and resolves when it is loaded. */
  async open(url: string): Promise<void> {
    await this.turnTo('content');
    await this.marionette.send('WebDriver:Navigate', { url });
  }

  /** Opens a tab, which is the current one from then on. */
  async openTab(): Promise<void> {
    await this.turnTo('content');
    const opened = await this.marionette.send('WebDriver:NewWindow', { type: 'tab' });
    const { handle } = opened as { handle: string };
    await this.marionette.send('WebDriver:SwitchToWindow', { handle, focus: true });
  }

  /** Types into the field that a CSS selector finds, when there is one, in the place of what it holds. */
  async type(selector: string, text: string): Promise<void> {
    await this.act(selector, async (id) => {
      await this.marionette.send('WebDriver:ElementClear', { id });
      await this.marionette.send('WebDriver:ElementSendKeys', { id, text });
    });
  }

  /** Clicks on what a CSS selector finds, when it is there. */
  async click(selector: string): Promise<void> {
    await this.act(selector, (id) => this.marionette.send('WebDriver:ElementClick', { id }));
  }

  /** Waits until a CSS selector finds something visible in the page; returns its text. */
  async see(selector: string): Promise<string> {
    const script = `
      const find = () => [...document.querySelectorAll(selector)].find((one) => one.checkVisibility());
      return new Promise((seen) => {
        const look = () => {
          const found = find();
          if (found) {
            watching.disconnect();
            seen(found.value ?? found.textContent);
          }
        };
        const watching = new MutationObserver(look);
        watching.observe(document, { subtree: true, childList: true, attributes: true });
        look();
      });`;
    for (;;) {
      try {
        return await this.inPage<string>(script, { selector });
      } catch (error) {
        // The page went on to the next one, which has its own elements.
        const isGone = error instanceof MarionetteError && error.code === 'javascript error';
        if (!isGone || !error.message.includes('unload')) throw error;
      }
    }
  }

  /** Ends it at once; the profile goes with it. */
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
    Firefox.running.delete(this);
    this.marionette.close();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private async act(selector: string, action: (id: string) => Promise<unknown>): Promise<void> {
    for (;;) {
      await this.see(selector);
      try {
        const using = { using: 'css selector', value: selector };
        const found = await this.marionette.send('WebDriver:FindElement', using);
        const [id = ''] = Object.values(found as Record<string, string>);
        await action(id);
        return;
      } catch (error) {
        // The page was drawn anew in between.
        const isGone = error instanceof MarionetteError && GONE.includes(error.code);
        if (!isGone) throw error;
      }
    }
  }

  private async turnTo(value: 'chrome' | 'content'): Promise<void> {
    if (this.context === value) return;
    await this.marionette.send('Marionette:SetContext', { value });
    this.context = value;
  }

  private async run<T>(where: 'chrome' | 'content', body: string, given: Given): Promise<T> {
    await this.turnTo(where);
    const variables = `{ ${Object.keys(given).join(', ')} }`;
    const script = `
      const [given, resolve] = arguments;
      (async (${variables}) => { ${body} })(given).then(
        (value) => resolve({ value }),
        (error) => resolve({ error: String(error?.message ?? error), stack: String(error?.stack) }),
      );`;
    const answer = await this.marionette.send('WebDriver:ExecuteAsyncScript', {
      ...{ script, args: [given], newSandbox: true },
      sandbox: where === 'chrome' ? 'system' : null,
    });
    // What a page that went on to one in another process leaves behind.
    if (answer === null) throw new MarionetteError('javascript error', 'unloaded by then');
    const { value, error, stack } = answer as { value: T; error?: string; stack?: string };
    if (error !== undefined) throw new Error(`In Firefox: ${error}\n${stack ?? ''}`);
    return value;
  }
}

/** The port that it chose, when it listens. */
async function portOf(profile: string, ended: Promise<void>): Promise<number> {
  const watching = watch(profile);
  try {
    return await new Promise<number>((found, failed) => {
      const read = () => {
        void readFile(join(profile, PORT_FILE), 'utf8').then(
          (text) => {
            if (text !== '') found(Number(text));
          },
          () => undefined, // not yet
        );
      };
      watching.on('change', read);
      void ended.then(() => {
        failed(new Error('It ended.'));
      });
      read();
    });
  } finally {
    watching.close();
  }
}
