/**
 * Whether If-None-Match names this entity tag, or any (`*`). The weak comparison: our tags are all
 * strong, and a cache may have weakened one in between.
 *
 * @param etag - strong, with its quotes
 * @see RFC 9110 §8.8.3.2, §13.1.2
 */
export function isKnown(ifNoneMatch: string | undefined, etag: string): boolean {
  return tagsOf(ifNoneMatch).some((tag) => tag === '*' || tag.replace(/^W\//, '') === etag);
}

/**
 * Whether If-Match names this entity tag, or any (`*`). The strong comparison: it protects a change.
 *
 * @param etag - strong, with its quotes
 * @see RFC 9110 §13.1.1
 */
export function isMeant(ifMatch: string, etag: string): boolean {
  return tagsOf(ifMatch).some((tag) => tag === '*' || tag === etag);
}

const tagsOf = (header = '') => header.split(',').map((item) => item.trim());
