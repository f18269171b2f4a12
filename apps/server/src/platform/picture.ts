import { createHash, randomBytes } from 'node:crypto';
import { Failure } from '#lib/protocol';

/** How each kind of picture begins; a dot stands for any byte. */
const beginnings = [
  ['image/png', /^\x89PNG\r\n\x1a\n....IHDR/s],
  ['image/jpeg', /^\xff\xd8\xff[\xc0-\xfe]/],
  ['image/webp', /^RIFF....WEBPVP8[ LX]/s],
] as const;

/**
 * What a picture is, by its first bytes and never by what its sender calls it.
 *
 * @throws Failure `unsupported-media-type`
 */
export function typeOfPicture(bytes: Buffer): string {
  const start = bytes.subarray(0, 16).toString('latin1');
  const found = beginnings.find(([, pattern]) => pattern.test(start));
  if (!found) {
    throw new Failure('unsupported-media-type', 'A picture is a PNG, a JPEG or a WebP.');
  }
  return found[0];
}

/** A name that nobody guesses, and that no other picture ever has. */
export function nameOfPicture(bytes: Buffer): string {
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  return `${randomBytes(16).toString('base64url')}.${digest}`;
}

/** Where a body may be a picture. */
export const PICTURE_ROUTES: ReadonlySet<string> = new Set([
  '/profile/v1/avatar/upload',
  '/apps/v1/apps/:id/logo',
]);

/** Opened by itself, a picture runs nothing, loads nothing and has no origin. */
export const pictureHeaders = {
  'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'cross-origin',
};
