/**
 * Whether an If-None-Match or If-Match header names this entity tag, or any (`*`). Weak tags
 * compare by their text: ours are all strong, and a cache may have weakened one in between.
 *
 * @param etag - strong, with its quotes
 * @see RFC 9110 §8.8.3, §13.1
 */
export function namesEtag(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((item) => {
    const tag = item.trim().replace(/^W\//, '');
    return tag === '*' || tag === etag;
  });
}
