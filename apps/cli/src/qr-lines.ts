import { renderUnicodeCompact } from 'uqr';

/** A QR code for a terminal or a printer, dark on light. */
export function qrLines(text: string): string[] {
  return renderUnicodeCompact(text, { border: 2 }).split('\n');
}
