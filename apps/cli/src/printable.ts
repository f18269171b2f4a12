/** Controls, which a terminal obeys; line ends, with which a text plays several; marks that turn it around. */
const UNSAFE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;

/** Makes one line of a text that somebody else chose: what a terminal would obey is spelled out. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u{${codeOf(char)}}`);
}

/** The value as JSON on one line, harmless where it is shown, and parsed to the same value. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (char) => `\\u${codeOf(char).padStart(4, '0')}`);
}

const codeOf = (char: string) => (char.codePointAt(0) ?? 0).toString(16);
