import { existsSync, mkdirSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import type { TestServer } from './test-server.ts';

/** Debian's package `chromium`, or where `CHROMIUM_BIN` says. */
const CHROMIUM = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';
/** Where `npm run shots` wants its pictures; otherwise none are made. */
const SHOTS = process.env.SHOTS;

/** No page takes as long; a test fails before Jest gives it up, and says where. */
const WAIT_MS = 60_000;

/** `describe` where a Chromium is installed; elsewhere it says so and skips. */
export const describeWeb = ((name: string, tests: () => void) => {
  if (existsSync(CHROMIUM)) {
    describe(name, tests);
    return;
  }
  process.stderr.write(`${name}: skipped, there is no ${CHROMIUM} (apt-get install chromium)\n`);
  describe.skip(name, tests);
}) as typeof describe;

/** A browser for a whole test file. */
export function launchChromium(): Promise<Browser> {
  const isRoot = process.getuid?.() === 0;
  return chromium.launch({
    executablePath: CHROMIUM,
    args: isRoot ? ['--no-sandbox'] : [], // Chromium's sandbox refuses root, which CI is
  });
}

/** Somebody at a browser of their own, whose every request is written down. */
export class Visitor {
  /** Address, headers and body of what was sent, as text. */
  readonly sent: string[] = [];
  /** The hosts that were asked for anything. */
  readonly hosts = new Set<string>();
  /** What the pages' policy forbade, and what the pages threw. */
  readonly complaints: string[] = [];

  private constructor(
    private readonly server: TestServer,
    readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  static async at(server: TestServer, browser: Browser, userAgent?: string): Promise<Visitor> {
    const context = await browser.newContext({ locale: 'en-GB', ...(userAgent && { userAgent }) });
    context.setDefaultTimeout(WAIT_MS);
    const visitor = new Visitor(server, context, await context.newPage());
    await context.exposeFunction('complain', (text: string) => visitor.complaints.push(text));
    await context.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', (event) => {
        const { complain } = window as unknown as { complain: (text: string) => void };
        complain(`${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    context.on('weberror', (error) => visitor.complaints.push(error.error().message));
    context.on('request', (request) => {
      const headers = Object.entries(request.headers()).map((pair) => pair.join(': '));
      const body = request.postDataBuffer()?.toString('latin1') ?? '';
      visitor.sent.push([request.url(), ...headers, body].join('\n'));
      if (/^(?:http|ws)/.test(request.url())) visitor.hosts.add(new URL(request.url()).host);
    });
    return visitor;
  }

  async open(path: string): Promise<void> {
    await this.page.goto(new URL(path, this.server.url).href);
  }

  /** Waits for one of the pages, by its name. */
  async sees(name: string): Promise<void> {
    await this.page.waitForSelector(`main[data-page="${name}"]`);
  }

  /** Waits for a message, good or bad, and returns it. */
  async reads(kind: '.problem' | '.note'): Promise<string> {
    return (await this.page.waitForSelector(kind)).innerText();
  }

  /** Types into fields, by their ids, and presses a button. */
  async submits(fields: Readonly<Record<string, string>>, button: string): Promise<void> {
    for (const [id, text] of Object.entries(fields)) await this.page.fill(`#${id}`, text);
    await this.page.click(button);
  }

  /**
   * Looks the page over in light and dark, on a telephone and on a desk: nothing sticks out at the side, and
   * axe has nothing to say. Takes its picture for `npm run shots`.
   */
  async inspects(name: string): Promise<void> {
    const before = this.page.viewportSize() ?? { width: 1280, height: 720 };
    for (const colorScheme of ['light', 'dark'] as const) {
      await this.page.emulateMedia({ colorScheme });
      for (const width of [320, 1280]) {
        await this.page.setViewportSize({ width, height: 720 });
        const overhang = await this.page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        // Without frames there is nothing to gather from other windows, which takes most of the time.
        const axe = new AxeBuilder({ page: this.page }).setLegacyMode();
        const { violations } = await axe.options({ resultTypes: ['violations'] }).analyze();
        const found = violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html ?? ''}`);
        expect({ name, colorScheme, width, overhang, found }).toMatchObject({
          overhang: 0,
          found: [],
        });
        if (SHOTS === undefined) continue;
        mkdirSync(SHOTS, { recursive: true });
        const path = `${SHOTS}/${name}-${colorScheme}-${width}.png`;
        await this.page.screenshot({ path, fullPage: true });
      }
    }
    await this.page.emulateMedia({ colorScheme: null });
    await this.page.setViewportSize(before);
  }

  /** What the page keeps in the browser, as text. */
  keeps(): Promise<string> {
    return this.page.evaluate(() =>
      JSON.stringify([
        Object.entries(localStorage),
        Object.entries(sessionStorage),
        document.cookie,
      ]),
    );
  }
}

/** How bytes could be hidden in a request: hex, base64 and base64url, or as they are. */
export function spellings(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  const hex = bytes.toString('hex');
  return [
    ...[hex, hex.toUpperCase(), bytes.toString('latin1'), encodeURIComponent(bytes.toString())],
    // What base64 makes of the bytes depends on what stands before them.
    ...[0, 1, 2].map((offset) =>
      Buffer.concat([Buffer.alloc(offset), bytes])
        .toString('base64url')
        .slice(offset === 0 ? 0 : offset + 1, -2),
    ),
  ].flatMap((text) => [text, text.replaceAll('-', '+').replaceAll('_', '/')]);
}
