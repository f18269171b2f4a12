import { readdirSync, readFileSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Failure } from '#lib/protocol';
import { Config } from '../platform/config.ts';
import { page, sendPage } from '../platform/html.ts';

/**
 * Scripts, styles and pictures of this server alone, no script in the page itself, no text that becomes HTML,
 * no frame around it. `blob:` is the picture that somebody is about to make theirs, and `relay` the WebSockets
 * of this server, which some browsers do not count as itself.
 */
const policyWith = (relay: string) =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    `connect-src 'self' ${relay}`,
    "form-action 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ');

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

interface Asset {
  type: string;
  plain: Buffer;
  zipped: Buffer;
}

/** Where `npm run build` puts apps/web; beside this code in a build, in `dist` when run from the sources. */
function builtPages(): string {
  const top = resolve(fileURLToPath(import.meta.url), '../../../../..');
  return join(basename(top) === 'dist' ? top : join(top, 'dist'), 'apps/web');
}

/** The web pages as they were built: a few files, kept in memory. */
@Injectable()
export class WebFilesService {
  private readonly assets = new Map<string, Asset>();
  private readonly index: string | undefined;
  private readonly policy: string;

  constructor({ publicUrl }: Config) {
    this.policy = policyWith(publicUrl.origin.replace(/^http/, 'ws'));
    const folder = builtPages();
    try {
      this.index = readFileSync(join(folder, 'index.html'), 'utf8');
      for (const name of readdirSync(join(folder, 'assets'))) {
        const type = types[extname(name)];
        if (type === undefined) continue; // a source map
        const plain = readFileSync(join(folder, 'assets', name));
        this.assets.set(name, { type, plain, zipped: gzipSync(plain) });
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Sends the page: one document for every address, whose script shows what belongs there. */
  sendIndex(reply: FastifyReply, status = 200): void {
    if (this.index === undefined) {
      sendPage(
        reply,
        page('Lockstep', '<p>The pages are not built: <code>npm run build</code></p>'),
      );
      return;
    }
    void reply
      .status(status)
      .headers({
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': this.policy,
        'cross-origin-opener-policy': 'same-origin',
        'cache-control': 'no-store',
      })
      .send(this.index);
  }

  /** Sends the one style sheet, or the icon, under a name that stays: for pages that were not built. */
  sendNamed(reply: FastifyReply, extension: '.css' | '.svg'): void {
    const [name = ''] = [...this.assets.keys()].filter((asset) => extname(asset) === extension);
    this.sendAsset(reply, name, { cacheControl: 'public, max-age=3600' });
  }

  /**
   * Sends a script, a style or a picture. Its name changes with its content.
   *
   * @throws Failure `not-found`
   */
  sendAsset(
    reply: FastifyReply,
    name: string,
    { acceptEncoding = '', cacheControl = 'public, max-age=31536000, immutable' },
  ): void {
    const asset = this.assets.get(name);
    if (!asset) throw new Failure('not-found', 'There is no such file.');
    const isZipped = /\bgzip\b/.test(acceptEncoding);
    void reply
      .headers({
        'content-type': asset.type,
        'cache-control': cacheControl,
        vary: 'accept-encoding',
        ...(isZipped && { 'content-encoding': 'gzip' }),
      })
      .send(isZipped ? asset.zipped : asset.plain);
  }
}
