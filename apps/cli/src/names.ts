/** The address that led to each person one has met, by uid. Which account has an address is the server's word. */
export type Names = ReadonlyMap<string, string>;

const UID = /\b[0-9a-f]{32}\b/g;

/** Somebody, by address where there is one; the uid stays beside it, since two may have had one address. */
export function called(names: Names, uid: string): string {
  const name = names.get(uid);
  return name === undefined ? uid : `${name} (${uid})`;
}

/** A sentence of ours, with the people in it by address. */
export const withNames = (names: Names, text: string): string =>
  text.replaceAll(UID, (uid) => called(names, uid));
