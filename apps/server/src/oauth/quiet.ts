/*
 * oidc-provider prints a line about Node 20, which it runs on, when it is imported. Only that line
 * is kept back: it would be the first thing that everybody reads at every start.
 */
const { warn } = console;
console.warn = (...words: unknown[]) => {
  if (!String(words[0]).includes('oidc-provider WARNING: Unsupported runtime')) warn(...words);
};

/** Puts `console.warn` back. */
export function restoreWarnings(): void {
  console.warn = warn;
}
