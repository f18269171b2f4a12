/** A reason to stop that is one sentence, with exit code 1; 2 when the command was not given as it should be. */
export class Refused extends Error {
  override readonly name = 'Refused';

  constructor(
    message: string,
    readonly exitCode: 1 | 2 = 1,
  ) {
    super(message);
  }
}
