/**
 * Remembers what came in for at least a number of seconds, in this process alone. Two generations
 * take the place of a timer for each entry.
 */
export class SeenRequests {
  private young = new Set<string>();
  private old = new Set<string>();
  private turnsAt = 0;

  constructor(private readonly seconds: number) {}

  /** @returns false when it was there already */
  add(key: string, now: number): boolean {
    if (now >= this.turnsAt) {
      // Nothing came for two generations: what is young has had its time, too.
      this.old = now >= this.turnsAt + this.seconds ? new Set() : this.young;
      this.young = new Set();
      this.turnsAt = now + this.seconds;
    }
    if (this.young.has(key) || this.old.has(key)) return false;
    this.young.add(key);
    return true;
  }
}
