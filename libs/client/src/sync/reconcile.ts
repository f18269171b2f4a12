/** What a record is worth on one side: the digest of its content, null for none. */
export type Content = string | null;

/**
 * What to do with a record that came from the server:
 *
 * | verdict | |
 * | --- | --- |
 * | `same` | nothing: both sides have it |
 * | `take` | the server's version replaces the one here |
 * | `keep` | the one here stays, and goes to the server |
 * | `conflict` | the server's version is taken, the one here is set aside |
 */
export type Verdict = 'same' | 'take' | 'keep' | 'conflict';

/**
 * Compares three versions of a record. If one side alone changed, its change stands. A change goes before a
 * deletion. Of two changes the server's stands, because the others have it already, and the one here is kept
 * beside the collection: nothing that a person wrote is lost.
 *
 * @param base - what both sides had last; undefined when that is not known
 */
export function reconcile({
  base,
  here,
  there,
}: {
  base: Content | undefined;
  here: Content;
  there: Content;
}): Verdict {
  if (here === there) return 'same';
  if (here === base || (base === undefined && here === null)) return 'take';
  if (there === null) return 'keep';
  return here === null ? 'take' : 'conflict';
}
