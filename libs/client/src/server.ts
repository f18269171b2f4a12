import { ServerDescription } from '#lib/protocol';
import { Http } from './http.ts';
import { platform, type Platform, type PlatformOptions } from './platform.ts';

/** One Lockstep server, seen from a client. */
export class Server {
  private constructor(
    readonly http: Http,
    readonly platform: Platform,
    /** The name that everything cryptographic is bound to; an address never is. */
    readonly realm: string,
  ) {}

  /** The server at an address that this device meets for the first time: it is asked for its realm. */
  static async at(url: string, options: PlatformOptions): Promise<Server> {
    const surroundings = platform(options);
    const http = new Http(url, surroundings);
    const { realm } = await http.json({ url: '/.well-known/lockstep' }, ServerDescription);
    return new Server(http, surroundings, realm);
  }

  /** A server known from before: its realm is remembered, so that no answer can change it. */
  static known(url: string, realm: string, options: PlatformOptions): Server {
    const surroundings = platform(options);
    return new Server(new Http(url, surroundings), surroundings, realm);
  }

  /** Without a trailing slash. */
  get url(): string {
    return this.http.server;
  }

  /** Seconds since 1970, on this device. */
  seconds(): number {
    return Math.floor(this.platform.now() / 1000);
  }
}
