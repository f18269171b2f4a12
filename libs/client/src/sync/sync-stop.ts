/** Why a sync does not go on although nothing is forged. */
export type SyncStopCode =
  /** The store, or an engine, is of a newer format: nothing was changed. */
  | 'upgrade-required'
  /** The store is of a format that this client does not read: only a reset can help. */
  | 'format-older'
  /** `meta/global` cannot be read. */
  | 'meta-malformed'
  /** There are records, but no `meta/global`; or a tier 2 client met a store that nobody has set up. */
  | 'not-set-up'
  /** There are records, but no `crypto/keys`; or a tier 2 client met a store without. Try later. */
  | 'keys-missing'
  /** Others kept changing what this client wanted to change. Try later. */
  | 'busy'
  /** The server asked for a pause that is not over. */
  | 'backing-off';

/** Says that a sync stopped before it was complete. What it did until then stands; a later one goes on. */
export class SyncStop extends Error {
  override readonly name = 'SyncStop';

  constructor(
    readonly code: SyncStopCode,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(`${detail} (${code})`, options);
  }
}
