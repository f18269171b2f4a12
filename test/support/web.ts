import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';

/** Debian's package `chromium`, or where `CHROMIUM_BIN` says. */
const CHROMIUM = process.env.CHROMIUM_BIN ?? '/usr/bin/chromium';

/** `describe` where a Chromium is installed; elsewhere it says so and skips. */
export const describeWeb: typeof describe = ((name: string, tests: () => void) => {
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

/** Types into the sign-in form and presses one of its buttons. */
export async function enter(
  page: Page,
  { email, password }: { email: string; password: string },
  button: '#signin' | '#signup',
): Promise<void> {
  await page.fill('#email', email);
  await page.fill('#password', password);
  await page.click(button);
}

/** Waits for one of the pages, by its name. */
export const arrive = (page: Page, name: string) =>
  page.waitForSelector(`main[data-page="${name}"]`);
