import jsQr from 'jsqr';
import type { Firefox } from './firefox.ts';
import { FirefoxAccount, type SignedInUser } from './firefox-account.ts';

/** One Firefox that signs another in, by the code that it shows and our pages in both. */
export class FirefoxPairing {
  /** @param root - origin of the server */
  constructor(
    private readonly firefox: Firefox,
    private readonly root: string,
  ) {}

  /** Has the page have Firefox show the code, and reads it as a camera does. @returns the address in it */
  async showCode(): Promise<string> {
    // The settings that an earlier code was shown in stay as they are.
    await this.firefox.openTab();
    await this.firefox.open(`${this.root}/pair`);
    await this.firefox.click('#show-code');
    const { pixels, width } = await this.firefox.inside<{ pixels: number[]; width: number }>(
      `const shown = () => {
         const { gBrowser } = Services.wm.getMostRecentWindow('navigator:browser');
         const settings = gBrowser.selectedBrowser.contentWindow;
         if (settings?.document.readyState !== 'complete') return undefined;
         const dialog = settings.gSubDialog?._topDialog?._frame?.contentDocument;
         const ready = dialog?.querySelector('#qrWrapper[pairing-status=ready] #qrContainer');
         return ready && { dialog, picture: ready.style.backgroundImage.slice(5, -2) };
       };
       const { dialog, picture } = await until([], shown);
       const image = new dialog.defaultView.Image();
       image.src = picture;
       await image.decode();
       const scale = 4;
       const canvas = dialog.createElementNS('http://www.w3.org/1999/xhtml', 'canvas');
       canvas.width = canvas.height = image.width * scale + 80;
       const context = canvas.getContext('2d');
       context.imageSmoothingEnabled = false;
       context.fillStyle = 'white';
       context.fillRect(0, 0, canvas.width, canvas.width);
       context.drawImage(image, 40, 40, image.width * scale, image.width * scale);
       const { data } = context.getImageData(0, 0, canvas.width, canvas.width);
       const pixels = [];
       for (let i = 0; i < data.length; i += 4) pixels.push(data[i] > 127 ? 1 : 0);
       return { pixels, width: canvas.width };`,
    );
    const bytes = new Uint8ClampedArray(pixels.length * 4);
    for (const [i, pixel] of pixels.entries()) {
      bytes.set([pixel * 255, pixel * 255, pixel * 255, 255], i * 4);
    }
    const read = jsQr.default(bytes, width, width);
    if (!read) throw new Error('No code can be read from the picture.');
    return read.data;
  }

  /** Opens the address of a code, as whoever scanned it. */
  async scan(code: string): Promise<void> {
    await this.firefox.open(code);
  }

  /** What the device that is to be signed in asks its person. */
  asked(): Promise<string> {
    return this.page('supplicant');
  }

  /** Says yes to that. */
  async confirm(): Promise<void> {
    await this.firefox.click('#confirm-pairing');
  }

  /** What the device that shows the code asks its person. */
  question(): Promise<string> {
    return this.page('authority');
  }

  /** Says yes to that. */
  async approve(): Promise<void> {
    await this.firefox.click('#approve-pairing');
  }

  /** Says no to it. */
  async decline(): Promise<void> {
    await this.firefox.click('#decline-pairing');
  }

  /** Resolves when the other one is connected. */
  async approved(): Promise<void> {
    await this.page('authority-done');
  }

  /** Resolves when the page lets nobody in. @returns what it says */
  refused(): Promise<string> {
    return this.page('authority-refused');
  }

  /** Resolves when this one is signed in, with the keys of Sync. */
  async signedIn(): Promise<SignedInUser> {
    await this.page('supplicant-done');
    return new FirefoxAccount(this.firefox).signedIn();
  }

  /** Waits for one of our pages. @throws Error when it is another one where the way ends */
  async page(name: string): Promise<string> {
    const ends = new Set([name, 'supplicant-failed', 'authority-refused', 'authority-gone']);
    const text = await this.firefox.see([...ends].map((end) => `[data-page=${end}]`).join(', '));
    const page = await this.firefox.inPage<string>(
      `return document.querySelector('[data-page]').dataset.page;`,
    );
    if (page !== name) throw new Error(`The page ${page} says: ${text}`);
    return text;
  }
}
