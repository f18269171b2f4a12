/** The only source of time on the server, so that tests can move it. */
export class Clock {
  now(): Date {
    return new Date();
  }

  /** Whole seconds since 1970. */
  seconds(): number {
    return Math.floor(this.now().getTime() / 1000);
  }
}
