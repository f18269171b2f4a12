declare module 'hkdf' {
  /** The npm package the 2015 prototype used; here only to compare with. */
  export default class Hkdf {
    constructor(hash: string, salt: Uint8Array | undefined, ikm: Uint8Array);
    derive(info: Uint8Array, length: number, done: (okm: Buffer) => void): void;
  }
}
