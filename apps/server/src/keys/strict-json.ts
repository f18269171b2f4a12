/**
 * Parses JSON in which no object names a member twice. Readers differ on which of the two counts,
 * so one signed text could mean two things.
 *
 * @throws SyntaxError when it is not JSON, or repeats a member
 * @see RFC 8725 §2.4, RFC 7515 §4
 */
export function parseStrictly(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // It is well formed, so strings, braces and colons are all that has to be told apart.
  const open: Set<unknown>[] = [];
  for (const [token, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}]/g)) {
    if (token === '{') open.push(new Set());
    else if (token === '}') open.pop();
    else if (colon !== undefined) {
      const name: unknown = JSON.parse(token.slice(0, -colon.length));
      const names = open.at(-1);
      if (names?.has(name)) throw new SyntaxError('A member is named twice.');
      names?.add(name);
    }
  }
  return value;
}
